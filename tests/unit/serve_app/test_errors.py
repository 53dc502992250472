"""One error shape, one table: every code that can go out has a status, and no error carries what must not be told."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent_service.errors import ConsentError
from consent_service.policy.decide import REASONS
from foundation.private_files import KeyFileUnsafe
from provenance.errors import ProvenanceError
from serve_app.errors import STATUS, RequestRefused
from speech.errors import SpeechError
from tests.unit.serve_app.house import House, Studio, code_of, raising

ROOT = Path(__file__).resolve().parents[3]
SECRET = "the words that nobody may read"
# Written by `pipelines` and `vouch` alone, or no error at all.
NOT_SENT = {"ok"}


def families(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from families(child)


def literal_codes() -> set[str]:
    """Every `code="…"` and every `RequestRefused("…")` in the rooms that this door speaks for."""
    found: set[str] = set()
    for room in ("consent_service", "speech", "provenance", "serve_app"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                given = [k.value for k in node.keywords if k.arg in ("code", "too_long")]
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name in ("RequestRefused", "PeerLost", "Refused"):
                    given += node.args[:1]
                found |= {g.value for g in given if isinstance(g, ast.Constant) and isinstance(g.value, str)}
    return found


def test_every_error_class_of_every_room_has_a_status() -> None:
    classes = [
        c for root in (ConsentError, SpeechError, ProvenanceError, KeyFileUnsafe) for c in families(root)
    ]
    assert len(classes) > 20
    assert {c.code for c in classes} <= set(STATUS)


def test_every_reason_to_deny_has_a_status() -> None:
    assert set(REASONS) <= set(STATUS)


def test_every_code_that_is_written_out_has_a_status() -> None:
    codes = literal_codes()
    assert {"clip_unknown", "upload_too_large", "text_too_long", "text_empty"} <= codes, "the walk finds them"
    assert codes - set(STATUS) - NOT_SENT == set()


@pytest.mark.parametrize("ending", ["too_large", "unreadable", "too_short", "too_long", "silent", "clipped"])
def test_every_rejection_of_a_recording_has_a_status(ending: str) -> None:
    assert STATUS[f"recording_{ending}"] in (400, 413)


def test_a_code_without_a_status_is_a_500() -> None:
    assert RequestRefused("unheard_of", "…").status == 500


def test_a_busy_or_unreachable_service_says_when_to_come_back() -> None:
    for code in ("overloaded", "ledger_unavailable", "revocations_unknown", "gate_failed"):
        assert int(RequestRefused(code, "…").headers()["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/voice-clone", 405, "method_not_allowed"),
        ("DELETE", "/v1/voices", 405, "method_not_allowed"),
        ("GET", "/v1/voices", 401, "unauthenticated"),
        ("POST", "/v1/consents", 401, "unauthenticated"),
    ],
)
def test_the_frameworks_own_errors_have_the_one_shape(
    house: House, method: str, path: str, status: int, code: str
) -> None:
    body = {
        "voice_id": "v", "grantee": "g", "purposes": ["narration"], "languages": ["en"],
        "valid_from": 0, "valid_until": 1,
    } if method == "POST" else None  # fmt: skip
    answer = house.request(method, path, json=body)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize("scheme", ["", "Basic abc", "Bearer", "Bearer  ", "bearer vouch_x_y"])
def test_a_missing_or_unknown_key_is_unauthenticated(house: House, scheme: str) -> None:
    headers = {"Authorization": scheme} if scheme else {}
    answer = house.request("GET", "/v1/voices", headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")


def test_an_unexpected_error_tells_no_one_what_it_held(
    house: House, studio: Studio, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def play() -> None:
        parts = await house.parts(house.engine, voice={"synthesize": raising(RuntimeError(SECRET))})
        body = {"text": SECRET, "language": "en", "speaker": "Vivian", "purpose": "narration"}
        answer = await house.asend(
            "POST", "/v1/custom-voice", key=studio.keys["narrator"], app=parts.http, json=body
        )
        await parts.worker.close()
        assert (answer.status_code, code_of(answer)) == (500, "internal_error")
        assert SECRET not in answer.text

    with caplog.at_level(logging.DEBUG):
        house.run(play())
    printed = capfd.readouterr()
    assert SECRET not in caplog.text + printed.out + printed.err
    assert "RuntimeError at " in caplog.text, "type and place are enough to look for it"

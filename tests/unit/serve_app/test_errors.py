"""One error shape, one table: every code that can go out has a status, and no error carries what must not be told."""

from __future__ import annotations

import ast
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import (
    Conflict,
    ConsentError,
    GrantRevoked,
    InvalidInput,
    RateLimited,
    RecordingRejected,
)
from consent_service.http.errors import answer
from consent_service.policy.decide import REASONS
from foundation.private_files import KeyFileUnsafe
from provenance.errors import ProvenanceError
from serve_app.errors import STATUS, Refused, RequestRefused
from speech.errors import SpeechError
from tests.unit.serve_app.house import House, Studio, code_of, raising

ROOT = Path(__file__).resolve().parents[3]
SECRET = "the words that nobody may read"
# Written by `pipelines` and `vouch` alone, or no error at all.
NOT_SENT = {"ok"}
ROOTS: tuple[type[Any], ...] = (ConsentError, SpeechError, ProvenanceError, KeyFileUnsafe)


def families(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from families(child)


def raised_codes() -> set[tuple[str, str]]:
    """(class, code) of every error that is written out in the rooms that this door speaks for: its class's own code,
    or the one that is given."""
    found: set[tuple[str, str]] = set()
    for room in ("consent_service", "speech", "provenance", "serve_app"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                given = [k.value for k in node.keywords if k.arg in ("code", "too_long")]
                if any(k.arg == "too_long" for k in node.keywords):
                    name = "TextError"  # which is raised where it is handed to
                if name in ("RequestRefused", "PeerLost", "Refused"):
                    given += node.args[:1]
                codes = {g.value for g in given if isinstance(g, ast.Constant) and isinstance(g.value, str)}
                found |= {(name, code) for code in codes}
    return found


def test_every_error_class_of_every_room_is_mapped() -> None:
    for root in ROOTS:
        for kind in families(root):
            mapped = {each for each in kind.__mro__ if each in STATUS.by_class} - {root}
            assert mapped or (kind is root and kind in STATUS.by_class), (
                f"{kind} has no status but its root's"
            )
    assert len([kind for root in ROOTS for kind in families(root)]) > 50, "the walk finds them"


def test_every_stable_code_has_exactly_one_status() -> None:
    """Whatever class carries it, in whatever room, and where a refusal has crossed a handle without its class."""
    kinds = {kind.__name__: kind for root in ROOTS for kind in families(root)}
    statuses: dict[str, set[int]] = defaultdict(set)
    for kind in kinds.values():
        statuses[kind.code] |= {STATUS.of(kind.code, kind), STATUS.of(kind.code)}
    for name, code in raised_codes():
        statuses[code].add(STATUS.of(code, kinds.get(name)))
    for code in REASONS:
        statuses[code].add(STATUS.of(code))
    assert {"clip_unknown", "upload_too_large", "text_too_long", "voice_not_active"} <= set(statuses), "found"
    assert {code: several for code, several in statuses.items() if len(several) != 1} == {}


def test_what_was_a_code_with_two_statuses_has_the_one_of_the_gate() -> None:
    for code in ("consent_revoked", "voice_not_active", "voice_decommissioned", "grantee_mismatch"):
        assert (STATUS.of(code, Conflict), STATUS.of(code, GrantRevoked)) == (403, 403)
    assert STATUS.of("evidence_does_not_cover", InvalidInput) == 403
    assert STATUS.of("voice_unknown", InvalidInput) == 404


def test_every_code_that_is_written_out_has_a_status_on_purpose() -> None:
    on_purpose_500 = {kind.code for root in ROOTS for kind in families(root)} | {"internal_error"}
    kinds = {kind.__name__: kind for root in ROOTS for kind in families(root)}
    unmapped = {
        (name, code) for name, code in raised_codes()
        if STATUS.of(code, kinds.get(name)) == 500 and code not in on_purpose_500 | NOT_SENT
    }  # fmt: skip
    assert unmapped == set()


def test_an_error_of_another_room_is_passed_on_with_its_class() -> None:
    """A refusal that takes over another's code takes its class too: the status comes from there."""
    for path in (ROOT / "serve_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "RequestRefused":
                continue
            code = ast.unparse(node.args[0])
            has_kind = any(keyword.arg == "kind" for keyword in node.keywords)
            assert has_kind or code in ("decision.code", "self._lost") or code[0] == "'", f"{path}: {code}"


def test_a_status_is_kept_over_a_handle_and_so_is_the_time_to_wait() -> None:
    crossed = Refused.of(RecordingRejected("too short", code="recording_too_short")).as_error()
    assert (crossed.code, crossed.status) == ("recording_too_short", 400)
    again = Refused.of(crossed).as_error()
    assert again.status == 400
    limited = Refused.of(RateLimited("wait", retry_after_s=42.0)).as_error()
    assert answer("id", limited, STATUS).headers["retry-after"] == "42"


@pytest.mark.parametrize("ending", ["too_large", "unreadable", "too_short", "too_long", "silent", "clipped"])
def test_every_rejection_of_a_recording_has_a_status(ending: str) -> None:
    assert STATUS.of(f"recording_{ending}", RecordingRejected) in (400, 413)


def test_a_code_without_a_status_is_a_500() -> None:
    assert RequestRefused("unheard_of", "…").status == 500


def test_a_busy_or_unreachable_service_says_when_to_come_back() -> None:
    for code in ("overloaded", "ledger_unavailable", "revocations_unknown", "gate_failed"):
        assert int(answer("id", RequestRefused(code, "…"), STATUS).headers["retry-after"]) >= 1


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

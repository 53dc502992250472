"""Recordings on their way in: bounded, checked, sealed before they cross a handle, and never on a disk (DESIGN I6)."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from consent_service.errors import VaultError
from serve_app.gate.consent_api import consent_api
from serve_app.gate.uploads import SealedUpload, UploadKeys, seal_upload
from tests.unit.serve_app.house import FaultInjector, House, Studio, code_of, recording

LIMIT = 2_000_000  # the house's bound on a body


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def noise(seconds: float = 4.0, *, level: float = 0.05, rate: int = 24_000) -> bytes:
    """A WAV that is taken for speech and that no two parts of are alike, so that a part of it can be looked for."""
    voice, _ = soundfile.read(io.BytesIO(recording(seconds, rate=rate)), dtype="float32")
    out = io.BytesIO()
    samples = voice + np.random.default_rng(7).normal(0, level / 10, voice.size)
    soundfile.write(out, samples.astype(np.float32), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def begun(house: House, studio: Studio) -> str:
    body = {
        "name": "V", "language": "en", "grantee": "studio", "purpose": "narration", "subject_name": "P",
    }  # fmt: skip
    answer = house.post("/v1/voices/enrolments", body, key=studio.keys["admin"])
    return f"/v1/voices/enrolments/{answer.json()['enrolment_id']}/complete"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "reference": b64(recording()), "statement": b64(recording(3.5)), "transcript": "what is said", **changes,
    }  # fmt: skip


FAULTY = {
    "empty": (b"", 400, "recording_unreadable"),
    "not audio": (b"GIF89a" + bytes(1000), 400, "recording_unreadable"),
    "cut after its header": (recording()[:40], 400, "recording_unreadable"),
    "2.9 seconds": (recording(2.9), 400, "recording_too_short"),
    "silent": (recording(level=0.0), 400, "recording_silent"),
    "clipped": (recording(level=5.0), 400, "recording_clipped"),
}


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("part", ["reference", "statement"])
def test_a_faulty_recording_is_rejected_and_the_enrolment_stays_open(
    house: House, studio: Studio, part: str, fault: str
) -> None:
    audio, status, code = FAULTY[fault]
    path = begun(house, studio)
    answer = house.post(path, body(**{part: b64(audio)}), key=studio.keys["admin"])
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert house.post(path, body(), key=studio.keys["admin"]).json()["state"] == "review"


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "not base64!"},
        {"reference": None},
        {"reference": 5},
        {"transcript": ""},
        {"transcript": None},
        {"transcript": "t" * 2_001},
        {"note": "n" * 501},
        {"more": 1},
    ],
)
def test_a_faulty_body_is_refused_without_quoting_it(
    house: House, studio: Studio, changes: dict[str, Any]
) -> None:
    answer = house.post(begun(house, studio), body(**changes), key=studio.keys["admin"])
    assert (answer.status_code, code_of(answer)) == (400, "request_invalid")
    assert "not base64!" not in answer.text
    assert len(answer.text) < 1_000


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "json_invalid"),
        (b"", "json_invalid"),
        (b"\xff\xfe", "json_invalid"),
        (b'{"reference": "UklG', "json_invalid"),
        (b"null", "request_invalid"),
        (b"[]", "request_invalid"),
    ],
)
def test_a_broken_body_is_refused(house: House, studio: Studio, raw: bytes, code: str) -> None:
    answer = house.request("POST", begun(house, studio), key=studio.keys["admin"], content=raw)
    assert (answer.status_code, code_of(answer)) == (400, code)


async def pieces(total: int, seen: list[int], size: int = 100_000) -> AsyncIterator[bytes]:
    for sent in range(0, total, size):
        seen.append(sent)
        yield bytes(min(size, total - sent))


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/voices/enrolments/x/complete", "/v1/voice-clone"])
def test_a_body_that_declares_too_much_is_not_read_at_all(house: House, studio: Studio, path: str) -> None:
    seen: list[int] = []
    answer = house.request(
        "POST", path, key=studio.keys["admin"], content=pieces(10 * LIMIT, seen),
        headers={"content-length": str(10 * LIMIT), "content-type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, code_of(answer)) == (413, "upload_too_large")


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/voices/enrolments/x/complete", "/v1/voice-clone"])
def test_a_chunked_body_is_cut_off_at_the_bound(house: House, studio: Studio, path: str) -> None:
    answer = house.request(
        "POST", path, key=studio.keys["admin"], content=pieces(2 * LIMIT, []),
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, code_of(answer)) == (413, "upload_too_large")


def test_a_declared_size_is_believed_only_against_the_caller(house: House, studio: Studio) -> None:
    seen: list[int] = []
    for declared in ("10", "not a number"):
        answer = house.request(
            "POST", "/v1/verify", content=pieces(10 * LIMIT, seen), headers={"content-length": declared}
        )
        assert (answer.status_code, code_of(answer)) == (413, "upload_too_large")
        assert max(seen) <= LIMIT, "reading stops at the bound"


def test_a_recording_is_never_spooled_to_a_disk(
    house: House, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that Python opens for writing while a recording comes in is looked at, and nothing holds it."""
    sample = noise(8.0)
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            writes = isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
            if writes or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                opened.append(os.fsdecode(arguments[0]))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        tempfile.SpooledTemporaryFile, "rollover", lambda self: pytest.fail("spooled to a disk")
    )
    path = begun(house, studio)
    sys.addaudithook(watch)
    try:
        answer = house.post(path, body(reference=b64(sample)), key=studio.keys["admin"])
    finally:
        watching = False
    assert answer.status_code == 200
    assert opened, "the hook sees what the vault writes"
    marker = sample[100_000:100_064]
    data_dir = house.config.consent.data_dir
    for name in {Path(name) for name in opened} | {p for p in data_dir.rglob("*") if p.is_file()}:
        if name.is_file():
            held = name.read_bytes()
            assert marker not in held
            assert b64(marker)[3:-4].encode() not in held
    assert list(tmp_path.iterdir()) == []


def test_what_crosses_a_handle_is_sealed(house: House, studio: Studio) -> None:
    """An enrolment's recordings, a further statement, and what is handed in as a clip that we made."""
    crossed: list[Any] = []

    class Listening(FaultInjector):
        async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
            crossed.append((method, args, kwargs))
            return await super().call(method, *args, **kwargs)

    sample, path = noise(), begun(house, studio)
    admin = studio.keys["admin"]
    further = house.post(
        f"/v1/voices/{studio.voice.voice_id}/statements",
        {"grantee": "studio", "purpose": "dubbing"},
        key=admin,
    ).json()["enrolment_id"]
    design = {"name": "n", "language": "en", "clip_id": "clip_1", "transcript": "t", "reference": b64(sample)}
    surface = house.http.state.surface
    object.__setattr__(surface, "api", consent_api(Listening(surface.api._consents)))  # type: ignore[arg-type]
    try:
        assert house.post(path, body(reference=b64(sample)), key=admin).status_code == 200
        given = {"statement": b64(noise(3.5))}
        house.post(f"/v1/voices/statements/{further}/complete", given, key=admin)
        assert code_of(house.post("/v1/voices/designed", design, key=admin)) == "reference_not_designed"
    finally:
        object.__setattr__(surface, "api", house.context.consents)
    methods = [method for method, _, _ in crossed]
    assert {"complete_sealed_enrolment", "complete_sealed_statement", "keep_sealed_design"} <= set(methods)
    uploads = next(args[2] for method, args, _ in crossed if method == "complete_sealed_enrolment")
    marker = sample[50_000:50_032]
    for upload in uploads.values():
        assert marker not in upload.sealed + upload.wrapped_key
    assert "sealed" not in repr(uploads["reference"])
    everything = pickle.dumps([(args, kwargs) for _, args, kwargs in crossed])
    assert marker not in everything
    assert noise(3.5)[50_000:50_032] not in everything
    assert marker in pickle.dumps(sample), "the look for it finds what lies open"


def test_a_sealed_recording_opens_for_its_own_enrolment_and_part_only(house: House) -> None:
    keys = UploadKeys(house.service.keys)
    public, wrapped = keys.new("enrolment_1")
    sealed = seal_upload(public, wrapped, "enrolment_1", "reference", b"a recording")
    assert keys.open("enrolment_1", "reference", sealed) == b"a recording"
    for enrolment, part in (("enrolment_2", "reference"), ("enrolment_1", "statement")):
        with pytest.raises(VaultError):
            keys.open(enrolment, part, sealed)
    with pytest.raises(VaultError):
        keys.open("enrolment_1", "reference", SealedUpload(sealed.sealed[:-1] + b"x", wrapped))


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "audio_unreadable"),
        (b"not audio", 400, "audio_unreadable"),
        (bytes(5_000), 400, "audio_unreadable"),
    ],
)
def test_what_is_no_audio_cannot_be_verified(house: House, raw: bytes, status: int, code: str) -> None:
    answer = house.request("POST", "/v1/verify", content=raw)
    assert (answer.status_code, code_of(answer)) == (status, code)


def test_a_recording_of_nobodys_is_verified_as_such(house: House) -> None:
    verdict = house.request("POST", "/v1/verify", content=noise()).json()
    assert verdict["origin"] == "no mark found"
    assert "standing" not in verdict
    assert json.dumps(verdict)

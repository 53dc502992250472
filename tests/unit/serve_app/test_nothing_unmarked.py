"""Nothing unmarked leaves: whatever route gives out audio gives out a stamped clip, or nothing (DESIGN I4)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import StampFailed
from provenance.formats.catalogue import FORMATS, WAV, Format
from provenance.formats.decode import decode_own
from provenance.labels.http import TOKEN_HEADER
from provenance.labels.token import verify
from provenance.presence import PRESENT, PresenceMark
from provenance.verify import Integrity, Origin
from tests.unit.serve_app.house import House, Studio, code_of

# Every route of this service that answers with audio. A new one belongs here, with a request that makes it speak.
AUDIO_ROUTES = {
    "POST /v1/voice-clone": {"text": "Good morning.", "voice_id": "{voice}"},
    "POST /v1/custom-voice": {"text": "Good morning.", "speaker": "Vivian"},
    "POST /v1/voice-design": {"text": "Good morning.", "instruct": "calm"},
    "POST /v1/audio/speech": {"input": "Good morning.", "voice": "{voice}", "model": "m"},
    "GET /v1/clips/{clip_id}": {},
}


def request(house: House, studio: Studio, route: str, **more: Any) -> Any:
    method, path = route.split()
    if method == "GET":
        made = request(house, studio, "POST /v1/voice-clone")
        path = path.format(clip_id=made.headers["x-clip-id"])
        return house.request("GET", path, key=studio.keys["narrator"], params=more)
    body = {k: v.format(voice=studio.voice.voice_id) for k, v in AUDIO_ROUTES[route].items()}
    return house.post(
        path, {"language": "en", "purpose": "narration", **body, **more}, key=studio.keys["narrator"]
    )


def test_no_route_that_gives_out_audio_is_missing_here(house: House) -> None:
    """JSON, plain text and the frameworks' pages are told apart from audio by what the OpenAPI document says."""
    audio = set()
    for path, methods in house.http.openapi()["paths"].items():
        for method, operation in methods.items():
            answers = {code: each for code, each in operation["responses"].items() if code[0] == "2"}
            if set(answers) == {"204"}:
                continue
            content = {kind for each in answers.values() for kind in each.get("content", {})}
            if not content or any(kind.startswith("audio/") for kind in content):
                audio.add(f"{method.upper()} {path}")
    # What a person recorded, for their reviewer's ears: no synthetic speech, and not ours to mark.
    audio -= {"GET /v1/voices/{voice_id}/statement", "GET /v1/voices/{voice_id}/review/{part}"}
    assert audio == set(AUDIO_ROUTES)


@pytest.mark.parametrize("route", AUDIO_ROUTES)
def test_what_a_route_gives_out_is_stamped_and_says_so(house: House, studio: Studio, route: str) -> None:
    answer = request(house, studio, route)
    assert answer.status_code == 200
    assert answer.headers["x-ai-generated"] == "true"
    verdict = house.context.verifier.verify(answer.content)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    disclosure = verdict.evidence["disclosure"]
    assert disclosure["clip_id"] == answer.headers["x-clip-id"]
    assert disclosure["is_clone"] is False, "the embedded engine imitates no one, and says so"
    assert verdict.evidence["presence"] >= 0.6


@pytest.mark.parametrize(
    "form", [one for one in FORMATS.values() if one is not WAV], ids=lambda one: one.name
)
def test_a_stored_clip_is_stamped_in_every_form(house: House, studio: Studio, form: Format) -> None:
    """What goes out is a file of its own, with everything that one carries, and an id that says so."""
    answer = request(house, studio, "GET /v1/clips/{clip_id}", response_format=form.name)
    assert (answer.status_code, answer.headers["x-ai-generated"]) == (200, "true")
    clip_id = answer.headers["x-clip-id"]
    sidecar = house.request("GET", f"/v1/clips/{clip_id}/manifest", key=studio.keys["narrator"]).content
    beside = None if form.embeds_manifest else sidecar
    verdict = house.context.verifier.verify(answer.content, beside)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    assert verdict.evidence["disclosure"]["clip_id"] == clip_id
    heard = decode_own(answer.content, form, form.rates[0])
    assert PresenceMark().detect(heard.samples, heard.sample_rate) >= PRESENT
    assert (b'"Label":"1"' in answer.content) == form.carries_label


@pytest.mark.parametrize("form", ["pcm", "wav", "mp3", "opus"])
@pytest.mark.parametrize("route", [route for route in AUDIO_ROUTES if route.startswith("POST")])
def test_what_a_route_streams_is_announced_and_covered(
    house: House, studio: Studio, route: str, form: str
) -> None:
    answer = request(house, studio, route, stream=True, response_format=form)
    assert answer.status_code == 200
    clip_id = answer.headers["x-clip-id"]
    announced = verify(answer.headers[TOKEN_HEADER], house.service.keys.trust_anchor())
    assert announced.clip_id == clip_id
    sidecar = house.request("GET", f"/v1/clips/{clip_id}/manifest", key=studio.keys["narrator"]).content
    verdict = house.context.verifier.verify(answer.content, sidecar)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)


@pytest.mark.parametrize("route", AUDIO_ROUTES)
def test_a_clip_is_the_one_in_the_register(house: House, studio: Studio, route: str) -> None:
    answer = request(house, studio, route)
    record = house.request(
        "GET", f"/v1/clips/{answer.headers['x-clip-id']}/record", key=studio.keys["auditor"]
    ).json()
    assert record["audio_sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert record["tenant"] == studio.name


class BrokenStamper:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def stamp(self, *_: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StampFailed("the mark did not hold"), 500, "stamp_failed"),
        (StampFailed("too quiet", code="clip_silent"), 400, "clip_silent"),
        (MemoryError(), 500, "internal_error"),
    ],
)
def test_a_clip_that_cannot_be_marked_does_not_leave_and_is_not_kept(
    house: House, studio: Studio, error: Exception, status: int, code: str
) -> None:
    async def play() -> Any:
        parts = await house.parts(house.engine, stamper=BrokenStamper(error))
        body = {"text": "Hello.", "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
        try:
            return await house.asend(
                "POST", "/v1/voice-clone", key=studio.keys["narrator"], app=parts.http, json=body
            )
        finally:
            await parts.worker.close()

    answer = house.run(play())
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert b"RIFF" not in answer.content
    assert studio.stored() == []
    assert [outcome for outcome, _ in studio.endings()] == ["failed"]


def test_the_store_holds_no_audio_in_the_clear(house: House, studio: Studio) -> None:
    clip = request(house, studio, "POST /v1/voice-clone").content
    (file,) = studio.stored()
    held = file.read_bytes()
    assert clip[1_000:1_032] not in held
    assert b"RIFF" not in held
    assert b"Good morning" not in held


def test_one_flipped_byte_is_seen_by_anyone(house: House, studio: Studio) -> None:
    clip = bytearray(request(house, studio, "POST /v1/voice-clone").content)
    clip[len(clip) // 2] ^= 1
    verdict = house.request("POST", "/v1/verify", content=bytes(clip)).json()
    assert (verdict["origin"], verdict["integrity"]) == ("our mark, unconfirmed", "altered")


def test_standing_is_for_callers_with_rights_and_no_one_else(house: House, studio: Studio) -> None:
    clip = request(house, studio, "POST /v1/voice-clone").content
    told = house.request("POST", "/v1/verify", key=studio.keys["auditor"], content=clip).json()
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    studio.revoke()
    after = house.request("POST", "/v1/verify", key=studio.keys["auditor"], content=clip).json()
    assert (after["integrity"], after["standing"]) == ("intact", "withdrawn since")
    public = house.request("POST", "/v1/verify", content=clip).json()
    assert "standing" not in public
    assert "evidence" not in public


def test_a_broken_key_is_not_taken_for_an_anonymous_caller(house: House, studio: Studio) -> None:
    clip = request(house, studio, "POST /v1/voice-clone").content
    answer = house.request("POST", "/v1/verify", key="vouch_no_such", content=clip)
    assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")


def test_a_kept_design_speaks_and_its_clips_are_marked(house: House, studio: Studio) -> None:
    text = "A voice that was described in words, and that no person stands behind, is kept."
    key = studio.keys["narrator"]
    body = {"text": text, "language": "en", "instruct": "calm, low", "purpose": "narration"}
    design = house.post("/v1/voice-design", body, key=key)
    kept = house.post(
        "/v1/voices/designed",
        {"name": "House", "language": "en", "clip_id": design.headers["x-clip-id"], "transcript": text},
        key=studio.keys["admin"],
    )
    assert kept.status_code == 201
    said = {"text": "Hello.", "language": "en", "voice_id": kept.json()["voice_id"], "purpose": "narration"}
    answer = house.post("/v1/voice-clone", said, key=key)
    verdict = house.context.verifier.verify(answer.content)
    assert verdict.origin is Origin.OURS
    assert verdict.evidence["disclosure"]["basis"] == "designed"


def test_a_clone_cannot_be_kept_as_a_design(house: House, studio: Studio) -> None:
    clone = request(house, studio, "POST /v1/voice-clone")
    answer = house.post(
        "/v1/voices/designed",
        {"name": "H", "language": "en", "clip_id": clone.headers["x-clip-id"], "transcript": "Good morning."},
        key=studio.keys["admin"],
    )
    assert answer.status_code == 400
    assert code_of(answer) in ("reference_not_designed", "recording_too_short")


def test_the_manifest_of_a_clip_can_be_read(house: House, studio: Studio) -> None:
    clip = request(house, studio, "POST /v1/voice-clone")
    path = f"/v1/clips/{clip.headers['x-clip-id']}/manifest"
    assert f"<{path}>" in clip.headers["link"]
    key = studio.keys["narrator"]
    manifest = house.request("GET", path, key=key, headers={"Accept": "application/json"}).json()
    assert manifest["state"] == "Trusted"
    assert json.dumps(manifest)
    store = house.request("GET", path, key=key)
    assert store.headers["content-type"] == "application/c2pa"
    assert store.content in clip.content


def test_stamping_does_not_hold_up_the_event_loop(house: House, studio: Studio) -> None:
    """A stamper that waits for the loop would wait for ever if it ran on it."""

    class Waiting:
        def stamp(self, samples: Any, rate: int, disclosure: Any, wanted: Any) -> Any:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), house.thread.loop).result(10)
            return house.stamper.stamp(samples, rate, disclosure, wanted)

    async def play() -> None:
        parts = await house.parts(house.engine, stamper=Waiting())
        await parts.clips.create_clip(studio.say())
        await parts.worker.close()

    house.run(play())


def test_the_clip_folder_is_where_the_configuration_says(house: House, studio: Studio) -> None:
    request(house, studio, "POST /v1/voice-clone")
    assert all(Path(house.config.clips) in file.parents for file in studio.stored())

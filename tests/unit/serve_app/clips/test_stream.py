"""A stream says what it is before its first byte, and however it ends, its manifest covers exactly what was sent
(DESIGN I3, I4, I5)."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import av
import pytest

from consent_service.proofs.records import Standing
from provenance.errors import StampFailed
from provenance.labels.http import TOKEN_HEADER
from provenance.labels.token import claims_digest, verify
from provenance.manifest import disclosure_from
from provenance.reading import read_manifest
from serve_app.clips.stream import ClipStream
from serve_app.errors import RequestRefused
from tests.unit.serve_app.house import House, Parts, Studio, code_of

STREAMED = ("pcm", "wav", "mp3", "opus")


def body(studio: Studio, text: str = "Heard while it is made.", **more: Any) -> dict[str, Any]:
    return {
        "text": text, "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration", "stream": True,
        **more,
    }  # fmt: skip


def manifest_of(house: House, studio: Studio, clip_id: str) -> bytes:
    answer = house.request("GET", f"/v1/clips/{clip_id}/manifest", key=studio.keys["narrator"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/c2pa")
    return answer.content


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_is_announced_before_and_signed_after(house: House, studio: Studio, name: str) -> None:
    answer = house.post("/v1/voice-clone", body(studio, response_format=name), key=studio.keys["narrator"])
    assert answer.status_code == 200, answer.text
    clip_id = answer.headers["x-clip-id"]
    announced = verify(answer.headers[TOKEN_HEADER], house.service.keys.trust_anchor())
    assert announced.clip_id == clip_id
    assert answer.headers["x-ai-generated"] == "true"

    reading = read_manifest(
        answer.content, house.context.trust, media_type=answer.headers["content-type"],
        sidecar=manifest_of(house, studio, clip_id),
    )  # fmt: skip
    assert reading is not None
    assert (reading.state, reading.failures, reading.asset_matches) == ("Trusted", (), True)
    disclosure = disclosure_from(reading.assertion)
    assert disclosure is not None
    assert claims_digest(disclosure) == announced.claims, "the token spoke of this manifest"
    assert studio.endings() == [("completed", None)]
    closed = next(entry for entry in studio.log() if entry["kind"] == "speech.closed")
    assert closed["audio"] == hashlib.sha256(answer.content).hexdigest()


def test_a_stream_carries_the_keyed_mark(house: House, studio: Studio) -> None:
    """What is left of it without headers and manifest is still found to be ours."""
    answer = house.post(
        "/v1/voice-clone", body(studio, "It is long enough to be heard, and to be found again. " * 3),
        key=studio.keys["narrator"],
    )  # fmt: skip
    verdict = house.context.auditor.verify(answer.content)
    assert verdict.origin.value == "ours"
    assert verdict.integrity.value == "metadata stripped"


def test_a_stream_says_what_the_file_says(house: House, studio: Studio) -> None:
    """The same request has the same seed, streamed or not."""
    said = {"response_format": "pcm"}
    streamed = house.post("/v1/voice-clone", body(studio, **said), key=studio.keys["narrator"])
    whole = house.post("/v1/voice-clone", body(studio, **said, stream=False), key=studio.keys["narrator"])
    assert abs(len(streamed.content) - len(whole.content)) <= 2
    # Now the file is kept, and the next stream is that file.
    again = house.post("/v1/voice-clone", body(studio, **said), key=studio.keys["narrator"])
    assert (again.content, again.headers["x-cache"]) == (whole.content, "hit")


def test_what_cannot_be_streamed_is_refused_before_anything_is_decided(house: House, studio: Studio) -> None:
    before = len(studio.log())
    for asked in (
        {"response_format": "flac"},
        {"response_format": "m4a"},
        {"loudness": -20.0, "response_format": "wav"},
    ):
        answer = house.post("/v1/voice-clone", body(studio, **asked), key=studio.keys["narrator"])
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "stream"
    assert len(studio.log()) == before


def test_a_refused_stream_is_an_error_and_not_a_broken_answer(house: House, studio: Studio) -> None:
    studio.revoke()
    token = studio.consent.consent_token
    answer = house.post("/v1/voice-clone", body(studio, consent_token=token), key=studio.keys["narrator"])
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")


async def _begun(
    house: House, parts: Parts, studio: Studio, engine: Any
) -> tuple[ClipStream, AsyncIterator[bytes], Any]:
    saying = asyncio.ensure_future(parts.clips.stream(studio.say("A stream that somebody ends.")))
    spoken = await engine.next_start()
    spoken.emit(house.speech[:24_000])
    clip = await saying
    assert isinstance(clip, ClipStream)
    return clip, clip.chunks(), spoken


async def _covered(parts: Parts, house: House, studio: Studio, clip: ClipStream, heard: bytes) -> None:
    """Its manifest is kept, and covers what was heard."""
    kept = await parts.clips.manifest(studio.keys["narrator"], clip.started.grant.clip_id)
    assert kept.audio == heard
    reading = read_manifest(heard, house.context.trust, media_type=kept.media_type, sidecar=kept.manifest)
    assert reading is not None
    assert (reading.state, reading.asset_matches) == ("Trusted", True)


def test_a_listener_who_leaves_has_a_manifest_over_what_was_sent(house: House, studio: Studio) -> None:
    async def play() -> None:
        engine = house.held_engine()
        parts = await house.parts(engine)
        clip, chunks, spoken = await _begun(house, parts, studio, engine)
        heard = await anext(chunks)
        await clip.end(asyncio.CancelledError())
        await _covered(parts, house, studio, clip, heard)
        assert not spoken.live, "the engine need not go on"
        await parts.worker.close()

    house.run(play())
    assert studio.endings() == [("disconnected", "disconnected")]


def test_a_replica_that_cannot_be_told_to_stop_does_not_keep_the_record_from_being_made(
    house: House, studio: Studio
) -> None:
    class Deaf:
        async def aclose(self) -> None:
            raise RuntimeError("it is running")

    async def play() -> None:
        engine = house.held_engine()
        parts = await house.parts(engine)
        clip, chunks, _ = await _begun(house, parts, studio, engine)
        heard = await anext(chunks)
        pieces, clip._pieces = clip._pieces, Deaf()  # type: ignore[assignment]
        await clip.end(asyncio.CancelledError())
        await _covered(parts, house, studio, clip, heard)
        await pieces.aclose()
        await parts.worker.close()

    house.run(play())
    assert studio.endings() == [("disconnected", "disconnected")]


def test_a_withdrawal_ends_a_stream_and_what_was_heard_is_covered(house: House, studio: Studio) -> None:
    async def play() -> None:
        engine = house.held_engine()
        parts = await house.parts(engine)
        clip, chunks, spoken = await _begun(house, parts, studio, engine)
        heard = await anext(chunks)
        await asyncio.to_thread(studio.revoke)
        while spoken.live:  # the feed tells the engine
            await asyncio.sleep(0.01)
        with pytest.raises(RequestRefused) as cut:
            async for chunk in chunks:
                heard += chunk
        assert cut.value.code == "consent_revoked"
        await clip.end(cut.value)
        await _covered(parts, house, studio, clip, heard)
        await parts.worker.close()

    house.run(play())
    assert studio.endings() == [("cut", "consent_revoked")]


def test_nothing_more_is_sent_when_revocations_cannot_be_known(house: House, studio: Studio) -> None:
    async def play() -> str:
        engine, deaf = house.held_engine(), asyncio.Event()

        async def revocations(real: Callable[[], Awaitable[Any]]) -> Any:
            if deaf.is_set():
                raise RequestRefused("ledger_unavailable", "gone")
            return await real()

        parts = await house.parts(engine, seen_by_voice={"revocations": revocations})
        clip, chunks, spoken = await _begun(house, parts, studio, engine)
        await anext(chunks)
        deaf.set()
        while parts.watch.is_fresh:
            await asyncio.sleep(0.01)
        spoken.emit(house.speech[:24_000])
        with pytest.raises(RequestRefused) as cut:
            await anext(chunks)
        await clip.end(cut.value)
        await parts.worker.close()
        return cut.value.code

    assert house.run(play()) == "revocations_unknown"
    assert studio.endings() == [("failed", "revocations_unknown")]


def test_the_rest_of_a_stream_is_not_sent_after_a_withdrawal(house: House, studio: Studio) -> None:
    async def play() -> str:
        engine = house.held_engine()
        parts = await house.parts(engine)
        clip, chunks, spoken = await _begun(house, parts, studio, engine)
        await anext(chunks)
        parts.watch.on_revocation = lambda _: (
            None
        )  # the engine has said all that it will, and cancels nothing
        await asyncio.to_thread(studio.revoke)
        while not parts.watch.revoked(clip.started.grant):
            await asyncio.sleep(0.01)
        spoken.finish()
        with pytest.raises(RequestRefused) as cut:
            await anext(chunks)
        await clip.end(cut.value)
        await parts.worker.close()
        return cut.value.code

    assert house.run(play()) == "consent_revoked"
    assert studio.endings() == [("cut", "consent_revoked")]


def test_a_stream_that_cannot_be_announced_does_not_begin(house: House, studio: Studio) -> None:
    class Mute:
        def announce(self, disclosure: object) -> str:
            raise StampFailed("no signature")

    async def play() -> str:
        engine = house.held_engine()
        parts = await house.parts(engine, stamper=Mute())
        saying = asyncio.ensure_future(parts.clips.stream(studio.say()))
        spoken = await engine.next_start()
        spoken.emit(house.speech[:24_000])
        with pytest.raises(StampFailed) as refused:
            await saying
        assert not spoken.live, "the engine need not go on"
        await parts.worker.close()
        return refused.value.code

    assert house.run(play()) == "stamp_failed"
    assert studio.endings() == [("failed", "stamp_failed")]


def test_the_last_byte_waits_for_the_manifest(house: House, studio: Studio) -> None:
    """A client that has read to the end finds it."""
    answer = house.post("/v1/voice-clone", body(studio), key=studio.keys["narrator"])
    record = house.request(
        "GET", f"/v1/clips/{answer.headers['x-clip-id']}/record", key=studio.keys["auditor"]
    ).json()
    assert record["audio_sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert record["standing"] == Standing.LIVE.value
    with av.open(io.BytesIO(answer.content)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(
            24_000 * record["seconds"], abs=2_000
        )

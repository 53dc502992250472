"""A clip whose metadata somebody took off is still found to be ours, and its consent still asked for."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
import soundfile

from serve_app.errors import RequestRefused
from tests.unit.serve_app.house import House, Studio, answering, code_of, raising

TEXT = "Good morning. This is a sentence of some length, so that there is enough to hear, and a little more than that."


def stripped(clip: bytes, form: str = "MP3") -> bytes:
    """Nothing is left of the file but its sound."""
    samples, rate = soundfile.read(io.BytesIO(clip), dtype="float32")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def spoken(house: House, studio: Studio) -> httpx.Response:
    body = {"text": TEXT, "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
    answer = house.post("/v1/voice-clone", body, key=studio.keys["narrator"])
    assert answer.status_code == 200
    return answer


def test_a_stripped_clip_is_ours_and_its_consent_is_asked_for(house: House, studio: Studio) -> None:
    answer = spoken(house, studio)
    upload = stripped(answer.content)
    told = house.request("POST", "/v1/verify", key=studio.keys["auditor"], content=upload).json()
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "metadata stripped", "live")
    assert told["evidence"]["keyed_mark"]["clip_id"] == answer.headers["x-clip-id"]
    studio.revoke()
    told = house.request("POST", "/v1/verify", key=studio.keys["auditor"], content=upload).json()
    assert told["standing"] == "withdrawn since"


def test_a_stranger_is_not_told_whose_stripped_clip_it_is(house: House, studio: Studio) -> None:
    upload = stripped(spoken(house, studio).content, "FLAC")  # the public mark need not survive a lossy codec
    told = house.request("POST", "/v1/verify", content=upload).json()
    assert told["origin"] == "synthetic, not ours"
    assert "evidence" not in told


@pytest.mark.parametrize(
    "meddle", [raising(RequestRefused("ledger_unavailable", "no")), answering(b"not a sealed key at all")]
)
def test_without_the_watermark_key_nothing_leaves(house: House, studio: Studio, meddle: Any) -> None:
    async def play() -> Any:
        parts = await house.parts(house.engine, seen_by_voice={"watermark_key": meddle})
        body = {"text": TEXT, "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
        try:
            return await house.asend(
                "POST", "/v1/voice-clone", key=studio.keys["narrator"], app=parts.http, json=body
            )
        finally:
            await parts.worker.close()

    answer = house.run(play())
    assert answer.status_code >= 500
    assert code_of(answer)
    assert studio.stored() == []
    assert [outcome for outcome, _ in studio.endings()] == ["failed"]


def test_neither_tag_nor_fingerprint_is_shown_to_anyone(house: House, studio: Studio) -> None:
    clip_id = spoken(house, studio).headers["x-clip-id"]
    told = house.request("GET", f"/v1/clips/{clip_id}/record", key=studio.keys["auditor"]).json()
    assert told["clip_id"] == clip_id
    assert not {"watermark", "fingerprint"} & told.keys()

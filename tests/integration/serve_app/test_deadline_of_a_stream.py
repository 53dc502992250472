"""A stream that takes longer than a request may: cut, said so in the log, and covered by its manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.serve_app.instance import Instance, open_instance, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


@pytest.fixture
def hasty() -> Iterator[Instance]:
    """At the pace of real speech, and never longer than five seconds."""
    engine, ingress = {"name": "embedded", "pace": 1.0}, {"request_deadline_s": 5.0}
    running = open_instance(engine=engine, ingress=ingress)
    yield running
    running.kill()
    shutil.rmtree(running.data_dir.parent, ignore_errors=True)


def test_the_time_of_a_stream_is_limited_and_the_log_says_that_it_was_up(hasty: Instance) -> None:
    body = {
        "text": "It is read out for longer than there is time. " * 20, "language": "en", "speaker": "Vivian",
        "purpose": "narration", "stream": True, "response_format": "pcm",
    }  # fmt: skip
    heard = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),  # a part is not taken for the whole
        hasty.http.stream("POST", "/v1/custom-voice", json=body, headers=hasty.bearer("narrator")) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        clip_id = answer.headers["x-clip-id"]
        for chunk in answer.iter_raw():
            heard += chunk
    assert heard
    closed = until(lambda: [e for e in hasty.log() if e["kind"] == "speech.closed"], "the stream was closed")
    assert [(e["outcome"], e["reason"]) for e in closed] == [("cut", "deadline_exceeded")]
    kept = hasty.get(f"/v1/clips/{clip_id}")
    assert kept.content.startswith(heard)
    assert hasty.get(f"/v1/clips/{clip_id}/manifest").status_code == 200

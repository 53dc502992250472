"""The three deployments behind real HTTP: what people send comes out stamped or is refused, in one shape."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI, PermissionDeniedError

from provenance.verify import Integrity, Origin, Verifier
from tests.integration.serve_app.conftest import Enrolled
from tests.integration.serve_app.instance import Instance, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def verifier(instance: Instance) -> Verifier:
    from consent_service.config import ConsentConfig
    from consent_service.service import ConsentService

    service = ConsentService.open(ConsentConfig(data_dir=instance.data_dir))
    try:
        return Verifier(service.keys.trust_anchor())
    finally:
        service.close()


def clone(enrolled: Enrolled, said: str, /, **more: Any) -> dict[str, Any]:
    return {
        "text": said, "language": "en", "voice_id": enrolled.voice_id, "consent_token": enrolled.token,
        "purpose": "narration", **more,
    }  # fmt: skip


def of(instance: Instance, text: str) -> list[dict[str, Any]]:
    """The audit entries of one text."""
    log = instance.log()
    said = instance.said(text)
    grants = {e["grant"] for e in log if e.get("said") in said}
    return [e for e in log if e.get("grant") in grants]


def test_every_way_to_speak_gives_a_stamped_clip(
    instance: Instance, enrolled: Enrolled, verifier: Verifier
) -> None:
    said = {"text": "All four ways.", "language": "en", "purpose": "narration"}
    speech = {"input": "All four ways.", "voice": "Vivian", "model": "qwen3-tts", "purpose": "narration"}
    for path, body in (
        ("/v1/voice-clone", clone(enrolled, "All four ways.")),
        ("/v1/custom-voice", {**said, "speaker": "Vivian"}),
        ("/v1/voice-design", {**said, "instruct": "calm"}),
        ("/v1/audio/speech", speech),
    ):
        answer = instance.post(path, body)
        assert answer.status_code == 200, answer.text
        verdict = verifier.verify(answer.content)
        assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
        assert verdict.evidence["disclosure"]["clip_id"] == answer.headers["x-clip-id"]


def test_the_official_client_works_unchanged(
    instance: Instance, enrolled: Enrolled, verifier: Verifier
) -> None:
    with OpenAI(api_key=instance.keys["narrator"], base_url=f"{instance.url}/v1", max_retries=0) as client:
        ours = {"purpose": "narration", "consent_token": enrolled.token}
        answer = client.audio.speech.create(
            model="qwen3-tts", voice=enrolled.voice_id, input="Through the official client.",
            response_format="wav", extra_body=ours,
        )  # fmt: skip
        assert verifier.verify(answer.content).origin is Origin.OURS
        with client.audio.speech.with_streaming_response.create(
            model="qwen3-tts", voice=enrolled.voice_id, input="Through the official client.",
            response_format="wav", extra_body=ours,
        ) as streamed:  # fmt: skip
            assert b"".join(streamed.iter_bytes()) == answer.content, "the same request gives the same clip"
        with pytest.raises(PermissionDeniedError) as refused:
            client.audio.speech.create(
                model="qwen3-tts", voice=enrolled.voice_id, input="x", response_format="wav",
                extra_body={"purpose": "narration"},
            )  # fmt: skip
        assert refused.value.code == "consent_required"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"text": ""}, 400, "text_empty"),
        ({"text": "word " * 2_000}, 413, "text_too_long"),
        ({"language": "xx"}, 400, "language_unsupported"),
        ({"voice_id": "voice_none"}, 404, "voice_unknown"),
        ({"purpose": "advertising"}, 403, "purpose_not_consented"),
        ({"consent_token": "wrong"}, 403, "consent_token_invalid"),
        ({"surprise": 1}, 400, "request_invalid"),
    ],
)
def test_a_refusal_keeps_its_status_and_code_behind_the_proxy(
    instance: Instance, enrolled: Enrolled, change: dict[str, Any], status: int, code: str
) -> None:
    answer = instance.post("/v1/voice-clone", clone(enrolled, "Hello.", **change))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_a_clip_of_more_than_a_minute_comes_whole(instance: Instance, verifier: Verifier) -> None:
    """Its samples are more than the 4 MB that Ray lets pass between replicas by default."""
    text = "A sentence that takes its time. " * 40
    body = {"text": text, "language": "en", "speaker": "Vivian", "purpose": "narration"}
    answer = instance.post("/v1/custom-voice", body)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 2 * 24_000 * 60
    assert verifier.verify(answer.content).integrity is Integrity.INTACT


def test_an_upload_without_end_is_cut_off(instance: Instance) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(500):
            sent += 1
            yield bytes(200_000)

    try:
        answer = instance.http.post("/v1/verify", content=endless())
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")
    except httpx.WriteError:
        pass  # the server hung up on us while we were still sending
    assert sent < 500


def test_a_caller_cannot_lift_the_deadline_or_outlive_the_connection(
    instance: Instance, enrolled: Enrolled
) -> None:
    """The headers by which Ray would let a caller do both are without effect: see also the next test."""
    headers = {"x-request-timeout-seconds": "0.001", "x-request-disconnect-disabled": "?1"}
    answer = instance.http.post(
        "/v1/voice-clone", json=clone(enrolled, "Deadlines are ours."),
        headers={**instance.bearer("narrator"), **headers},
    )  # fmt: skip
    assert answer.status_code == 200, "a millisecond was not granted"


@pytest.mark.parametrize("headers", [{}, {"x-request-disconnect-disabled": "?1"}])
def test_a_caller_who_hangs_up_ends_the_synthesis(
    instance: Instance, enrolled: Enrolled, headers: dict[str, str]
) -> None:
    text = f"A long text, number {len(headers)}, that nobody will hear to its end. " * 40  # 15 s at this pace
    host, port = instance.url.removeprefix("http://").split(":")
    body = json.dumps(clone(enrolled, text)).encode()
    sent = {
        "Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)),
        **instance.bearer("narrator"), **headers,
    }  # fmt: skip
    lines = ["POST /v1/voice-clone HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall("\r\n".join(lines).encode() + body)
        until(lambda: any(e["kind"] == "speech.redeemed" for e in of(instance, text)), "the synthesis began")
    left = time.monotonic()
    closed = until(
        lambda: [e for e in of(instance, text) if e["kind"] == "speech.closed"], "the synthesis was closed"
    )
    assert [(e["outcome"], e["reason"]) for e in closed] == [("disconnected", "disconnected")]
    assert time.monotonic() - left < 12, "it was ended, and did not run to its end"


def manifest_covers(instance: Instance, clip_id: str, heard: bytes) -> bool:
    """Whether the clip's manifest is there, trusted, and over exactly these bytes."""
    answer = instance.get(f"/v1/clips/{clip_id}/manifest")
    if answer.status_code != 200:
        return False
    body = answer.content + heard
    headers = {**instance.bearer("narrator"), "X-Manifest-Length": str(len(answer.content))}
    verdict = instance.http.post("/v1/verify", content=body, headers=headers).json()
    return (verdict["origin"], verdict["integrity"]) == ("ours", "intact")


def test_a_stream_is_heard_while_it_is_made(instance: Instance, enrolled: Enrolled) -> None:
    text = "This is heard before it has been said to its end. " * 8
    body = clone(enrolled, text, stream=True, response_format="pcm")
    heard, closed_at_first = b"", None
    with instance.http.stream(
        "POST", "/v1/voice-clone", json=body, headers=instance.bearer("narrator")
    ) as answer:
        assert answer.status_code == 200
        assert {"x-disclosure-token", "x-clip-id", "x-ai-generated"} <= set(answer.headers)
        for chunk in answer.iter_raw():
            if closed_at_first is None:
                closed_at_first = [e for e in of(instance, text) if e["kind"] == "speech.closed"]
            heard += chunk
    assert closed_at_first == [], "it was still being said"
    assert manifest_covers(instance, answer.headers["x-clip-id"], heard)
    assert [e["outcome"] for e in of(instance, text) if e["kind"] == "speech.closed"] == ["completed"]


def test_a_listener_who_hangs_up_ends_the_stream_and_leaves_a_manifest(
    instance: Instance, enrolled: Enrolled
) -> None:
    text = "A stream that nobody will hear to its end. " * 40
    body = clone(enrolled, text, stream=True, response_format="pcm")
    with instance.http.stream(
        "POST", "/v1/voice-clone", json=body, headers=instance.bearer("narrator")
    ) as answer:
        clip_id = answer.headers["x-clip-id"]
        next(answer.iter_raw())
    closed = until(
        lambda: [e for e in of(instance, text) if e["kind"] == "speech.closed"], "the stream was closed"
    )
    assert [(e["outcome"], e["reason"]) for e in closed] == [("disconnected", "disconnected")]
    # What was sent is registered; how much of it arrived, only the listener knows.
    assert closed[0]["audio"]
    kept = instance.get(f"/v1/clips/{clip_id}")
    assert manifest_covers(instance, clip_id, kept.content)
    assert len(kept.content) / 2 / 24_000 == pytest.approx(closed[0]["seconds"], abs=0.1)


def test_a_withdrawal_ends_a_stream_in_its_middle(instance: Instance) -> None:
    from tests.integration.serve_app.instance import recording

    voice_id, token, _ = instance.enrol(
        recording(5.0, seed=3), "a third sample", name="Withdrawn while heard"
    )
    text = "A stream that will be cut short by a withdrawal. " * 40
    body = clone(Enrolled(voice_id, token), text, stream=True, response_format="pcm")
    heard = b""
    with instance.http.stream(
        "POST", "/v1/voice-clone", json=body, headers=instance.bearer("narrator")
    ) as answer:
        chunks = answer.iter_raw()
        heard += next(chunks)
        (consent,) = instance.get(f"/v1/consents?voice_id={voice_id}", part="admin").json()["consents"]
        path = f"/v1/consents/{consent['consent_id']}/revoke"
        assert instance.post(path, {"reason": "enough"}, part="admin").status_code == 200
        with pytest.raises(
            httpx.RemoteProtocolError
        ):  # broken off, so that a part is not taken for the whole
            for chunk in chunks:
                heard += chunk
    closed = until(
        lambda: [e for e in of(instance, text) if e["kind"] == "speech.closed"], "the stream was closed"
    )
    assert [(e["outcome"], e["reason"]) for e in closed] == [("cut", "consent_revoked")]
    until(
        lambda: manifest_covers(instance, answer.headers["x-clip-id"], heard),
        "its manifest covers what was heard",
    )


def test_a_withdrawal_ends_what_is_being_said(instance: Instance) -> None:
    from tests.integration.serve_app.instance import recording

    voice_id, token, _ = instance.enrol(recording(5.0, seed=2), "another sample", name="Withdrawn")
    text = "A long text that will be cut short by a withdrawal. " * 40
    answers: list[httpx.Response] = []
    body = clone(Enrolled(voice_id, token), text)
    caller = threading.Thread(target=lambda: answers.append(instance.post("/v1/voice-clone", body)))
    caller.start()
    until(lambda: any(e["kind"] == "speech.redeemed" for e in of(instance, text)), "the synthesis began")
    (consent,) = instance.get(f"/v1/consents?voice_id={voice_id}", part="admin").json()["consents"]
    path = f"/v1/consents/{consent['consent_id']}/revoke"
    assert instance.post(path, {"reason": "enough"}, part="admin").status_code == 200
    caller.join(60)
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (403, "consent_revoked")
    closed = [e for e in of(instance, text) if e["kind"] == "speech.closed"]
    assert [(e["outcome"], e["reason"]) for e in closed] == [("cut", "consent_revoked")]
    cut, withdrawn = closed[0]["at"], next(e["at"] for e in instance.log() if e["kind"] == "consent.revoked")
    assert cut - withdrawn < 5, "within a second on a machine that does nothing else"

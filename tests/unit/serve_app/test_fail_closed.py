"""Whatever goes wrong at the gate or in the ledger means no audio, and the audit log says how it ended
(DESIGN I2, I3)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from consent_service.errors import LedgerUnavailable
from consent_service.models import Redeemed
from provenance.stamp import Stamper
from serve_app.call_signing import CallSigner
from serve_app.errors import Refused, RequestRefused
from serve_app.gate.client import BlockingGateClient
from serve_app.gate.protocol import Gate
from serve_app.handles import PeerLost, fail_closed, remote
from tests.unit.serve_app.handle import BrokenHandle
from tests.unit.serve_app.house import FaultInjector, Held, House, Studio, after, answering, code_of, raising

PATHS = ("/v1/voice-clone", "/v1/custom-voice", "/v1/voice-design", "/v1/audio/speech")
FAILURES: dict[str, tuple[Exception, str]] = {
    "an unforeseen error": (ValueError("with some text in it"), "gate_failed"),
    "an error inside the gate": (RequestRefused("internal_error", "…"), "gate_failed"),
    "a timeout": (TimeoutError(), "gate_failed"),
    "a broken connection": (ConnectionResetError(), "gate_failed"),
    "a ledger that is not there": (RequestRefused("ledger_unavailable", "…"), "ledger_unavailable"),
    "a gate that died": (PeerLost("ledger_unavailable", "…"), "ledger_unavailable"),
}


def body(studio: Studio, path: str) -> dict[str, Any]:
    more: dict[str, dict[str, Any]] = {
        "/v1/voice-clone": {"text": "Good morning.", "voice_id": studio.voice.voice_id},
        "/v1/custom-voice": {"text": "Good morning.", "speaker": "Vivian"},
        "/v1/voice-design": {"text": "Good morning.", "instruct": "calm"},
        "/v1/audio/speech": {"input": "Good morning.", "voice": studio.voice.voice_id, "model": "m"},
    }
    return {"language": "en", "purpose": "narration", **more[path]}


def speak(
    house: House, studio: Studio, path: str = "/v1/voice-clone", *, stream: bool = False, **faults: Any
) -> httpx.Response:
    """One request through a door with these faults in it."""
    asked = body(studio, path) | ({"stream": True} if stream else {})

    async def play() -> httpx.Response:
        parts = await house.parts(house.engine, **faults)
        try:
            return await house.asend("POST", path, key=studio.keys["narrator"], app=parts.http, json=asked)
        finally:
            await parts.worker.close()

    return house.run(play())


def no_audio(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert b"RIFF" not in answer.content


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_gate_that_cannot_decide_means_no_audio(
    house: House, studio: Studio, path: str, failure: str
) -> None:
    error, code = FAILURES[failure]
    no_audio(speak(house, studio, path, gate={"authorize": raising(error)}), 503, code)
    assert studio.endings() == []


@pytest.mark.parametrize("answer", [None, True, {"allow": True}, "allow", Refused("x", "y")])
def test_an_answer_that_is_no_decision_is_a_refusal(house: House, studio: Studio, answer: Any) -> None:
    no_audio(speak(house, studio, gate={"authorize": answering(answer)}), 503, "gate_failed")


@pytest.mark.parametrize("failure", FAILURES)
def test_a_grant_that_cannot_be_redeemed_means_no_audio(house: House, studio: Studio, failure: str) -> None:
    error, code = FAILURES[failure]
    no_audio(speak(house, studio, seen_by_voice={"redeem": raising(error)}), 503, code)
    assert studio.endings() == []


@pytest.mark.parametrize("failure", FAILURES)
def test_a_redemption_whose_answer_is_lost_is_closed(house: House, studio: Studio, failure: str) -> None:
    error, code = FAILURES[failure]
    no_audio(speak(house, studio, seen_by_voice={"redeem": after(error)}), 503, code)
    assert studio.endings() == [("failed", code)]


@pytest.mark.parametrize("method", ["new_clip_key", "hand_over"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_clip_that_cannot_be_handed_over_does_not_leave(
    house: House, studio: Studio, method: str, failure: str
) -> None:
    error, code = FAILURES[failure]
    no_audio(speak(house, studio, gate={method: raising(error)}), 503, code)
    assert studio.endings() == [("failed", code)]
    assert studio.stored() == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_manifest_that_cannot_be_signed_means_no_audio(house: House, studio: Studio, stream: bool) -> None:
    async def play() -> Any:
        broken = FaultInjector(house.gate, sign_manifest=raising(RequestRefused("ledger_unavailable", "…")))
        return Stamper(await BlockingGateClient.connect(broken, house.node_secret))

    # As any other time at which the gate is lost: clear, and worth another try.
    answer = speak(house, studio, stream=stream, stamper=house.run(play()))
    no_audio(answer, 503, "ledger_unavailable")
    assert studio.endings() == [("failed", "ledger_unavailable")]
    assert studio.stored() == []


@pytest.mark.parametrize("method", ["clip_key", "redeem_cached", "close_clip"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_cached_clip_does_not_leave_without_the_gate(
    house: House, studio: Studio, method: str, failure: str
) -> None:
    assert speak(house, studio).headers["x-cache"] == "miss"
    error, code = FAILURES[failure]
    no_audio(speak(house, studio, gate={method: raising(error)}), 503, code)


def test_a_ledger_that_fails_in_the_gate_means_no_audio(
    house: House, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Redeemed:
        raise LedgerUnavailable("the ledger cannot be reached")

    gate, clips = house.service.gate, house.service.clips
    for part, operation in ((gate, "redeem"), (gate, "close"), (clips, "register_clip"), (clips, "standing")):
        with monkeypatch.context() as patch:
            patch.setattr(part, operation, fails)
            no_audio(speak(house, studio), 503, "ledger_unavailable")
    assert speak(house, studio).status_code == 200, "and it recovers"


def test_each_clip_has_an_opening_and_a_closing_record(house: House, studio: Studio) -> None:
    first, again = speak(house, studio), speak(house, studio)
    assert studio.endings() == [("completed", None), ("completed", None)]
    opened = [e for e in studio.log() if e["kind"] in ("speech.redeemed", "speech.reused")]
    closed = [e for e in studio.log() if e["kind"] == "speech.closed"]
    assert [e["kind"] for e in opened] == ["speech.redeemed", "speech.reused"]
    assert {e["clip"] for e in closed} == {first.headers["x-clip-id"]} == {again.headers["x-clip-id"]}
    assert all(e["seconds"] > 0 and len(e["audio"]) == 64 for e in closed)


def test_a_refusal_leaves_a_record_too(house: House, studio: Studio) -> None:
    answer = house.post(
        "/v1/voice-clone", {**body(studio, "/v1/voice-clone"), "purpose": "advertising"},
        key=studio.keys["narrator"],
    )  # fmt: skip
    assert code_of(answer) == "purpose_not_consented"
    assert studio.log()[-1]["code"] == "purpose_not_consented"


def test_an_engine_that_fails_is_told_to_the_log(house: House, studio: Studio) -> None:
    from speech.errors import SynthesisFailed

    class Failing:
        info, healthy = house.engine.info, True
        warm_up = close = staticmethod(lambda: None)

        def start(self, _: Any) -> Any:
            raise SynthesisFailed("it broke")

        def cancel_voice(self, *_: Any) -> int:
            return 0

    async def play() -> httpx.Response:
        parts = await house.parts(Failing())
        try:
            return await house.asend(
                "POST", PATHS[0], key=studio.keys["narrator"], app=parts.http, json=body(studio, PATHS[0])
            )
        finally:
            await parts.worker.close()

    no_audio(house.run(play()), 502, "synthesis_failed")
    assert studio.endings() == [("failed", "synthesis_failed")]


def test_a_replica_that_dies_is_asked_again_with_a_new_grant(house: House, studio: Studio) -> None:
    lost = [PeerLost("engine_unavailable", "gone")]

    async def dies_once(real: Any) -> Any:
        answer = await real()
        if lost:
            raise lost.pop()
        return answer

    answer = speak(house, studio, voice={"synthesize": dies_once})
    assert answer.status_code == 200
    assert studio.endings() == [("failed", "engine_unavailable"), ("completed", None)]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), RequestRefused("engine_unavailable", "no answer in time")]
)
def test_an_answer_that_is_lost_on_its_way_is_told_to_the_log(
    house: House, studio: Studio, error: Exception
) -> None:
    answer = speak(house, studio, voice={"synthesize": after(error)})
    assert answer.status_code in (500, 503)
    assert studio.endings() == [("failed", code_of(answer))]


def test_a_second_death_is_a_503(house: House, studio: Studio) -> None:
    dead = raising(PeerLost("engine_unavailable", "gone"))
    no_audio(speak(house, studio, voice={"synthesize": dead}), 503, "engine_unavailable")
    assert studio.endings() == []


def test_a_replica_that_answers_for_another_request_is_not_believed(house: House, studio: Studio) -> None:
    kept: list[Any] = []

    async def mixes_up(real: Any) -> Any:
        kept.append(await real())
        return kept[0]

    async def play() -> None:
        parts = await house.parts(house.engine, voice={"synthesize": mixes_up})
        await parts.clips.create_clip(studio.say("First."))
        with pytest.raises(RequestRefused) as refused:
            await parts.clips.create_clip(studio.say("Second."))
        await parts.worker.close()
        assert refused.value.code == "synthesis_failed"

    house.run(play())


def broken_gate(outcome: Any, *, timeout_s: float = 5) -> Gate:
    signer = CallSigner(b"s" * 32)
    return remote(Gate, BrokenHandle(outcome), signer, timeout_s=timeout_s, lost="ledger_unavailable")


@pytest.mark.parametrize(
    ("outcome", "kind", "code"),
    [
        (RayActorError(), PeerLost, "ledger_unavailable"),
        (DeploymentUnavailableError.__new__(DeploymentUnavailableError), PeerLost, "ledger_unavailable"),
        (ConnectionResetError(), PeerLost, "ledger_unavailable"),
        (BackPressureError(num_queued_requests=1, max_queued_requests=1), RequestRefused, "overloaded"),
        (Refused("grant_used", "…"), RequestRefused, "grant_used"),
        (Refused("internal_error", "…"), RequestRefused, "gate_failed"),
        (ZeroDivisionError(), RequestRefused, "gate_failed"),
    ],
)
def test_whatever_a_handle_does_that_is_no_answer_is_a_refusal(
    house: House, outcome: Any, kind: type[RequestRefused], code: str
) -> None:
    gate = fail_closed(Gate, broken_gate(outcome))
    with pytest.raises(RequestRefused) as refused:
        house.run(gate.redeem("a token", "a replica"))
    assert (type(refused.value), refused.value.code) == (kind, code)


def test_a_handle_that_never_answers_is_a_refusal(house: House) -> None:
    async def play() -> None:
        with pytest.raises(RequestRefused) as refused:
            await broken_gate(asyncio.Event(), timeout_s=0.01).redeem("a token", "a replica")
        assert refused.value.code == "ledger_unavailable"
        assert not isinstance(refused.value, PeerLost), "it may still be at work, so it is not asked again"

    house.run(play())


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_a_caller_who_hangs_up_is_told_to_the_log(house: House, studio: Studio, moment: str) -> None:
    """Before the redemption is answered, while the engine speaks, and after it has spoken."""

    async def play() -> None:
        engine, held = house.held_engine(), Held()
        signing = FaultInjector(house.gate, sign_manifest=held)
        parts = await house.parts(
            engine,
            seen_by_voice={"redeem": held} if moment == "before" else {},
            stamper=Stamper(await BlockingGateClient.connect(signing, house.node_secret))
            if moment == "after"
            else None,
        )
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        if moment != "before":
            stream = await engine.next_start()
            stream.emit(house.speech)
        if moment == "after":
            stream.finish()
        if moment != "while":
            await held.arrived.wait()
        saying.cancel()
        await asyncio.sleep(0)
        held.release()
        with pytest.raises(asyncio.CancelledError):
            await saying
        await settled(parts.worker)
        await parts.worker.close()

    house.run(play())
    assert studio.endings() == [("disconnected", "disconnected")]
    assert studio.stored() == []


def test_a_store_that_loses_its_disk_costs_the_cache_and_no_clip(
    house: House, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serve_app.clips.store import ClipStore

    def full(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(ClipStore, "publish", full)
        assert speak(house, studio).headers["x-cache"] == "miss"
    with monkeypatch.context() as patch:
        patch.setattr(ClipStore, "stage", full)
        no_audio(speak(house, studio), 500, "internal_error")
    with monkeypatch.context() as patch:
        patch.setattr(ClipStore, "discard", full)
        no_audio(speak(house, studio, gate={"hand_over": raising(TimeoutError())}), 503, "gate_failed")
    assert studio.endings() == [("completed", None), ("failed", "internal_error"), ("failed", "gate_failed")]


async def settled(worker: Any) -> None:
    """Until nothing but the watch is at work on this loop any more."""
    mine = asyncio.current_task()
    while True:
        busy = [
            t for t in asyncio.all_tasks()
            if t is not mine and not t.done() and t.get_name() != "revocation-watch" and "_pull" not in repr(t)
        ]  # fmt: skip
        busy = [
            t
            for t in busy
            if any(n in repr(t) for n in ("ClipService.", "VoiceWorker.", "SingleFlight", "meddle"))
        ]
        if not busy:
            return
        await asyncio.wait(busy)

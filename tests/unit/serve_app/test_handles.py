"""Typed calls across a handle: a stub has the methods of its protocol, and a callee answers those alone, and only when
they are signed with the node secret. A handle is no right."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import pickle
import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from consent_service.errors import GrantUsed
from consent_service.http.consent_api import ConsentApi, RecordingCalls
from consent_service.proofs.protocols import ManifestSigner, ProofReader
from serve_app.call_signing import CallSigner, SignedCall
from serve_app.errors import Refused, RequestRefused
from serve_app.gate.client import BlockingGateClient
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi
from serve_app.gate.consent_gate import ConsentGate
from serve_app.gate.protocol import Gate
from serve_app.handles import (
    UNTIL_DONE_S,
    Callee,
    PeerLost,
    fail_closed,
    local,
    methods_of,
    remote,
    time_limit,
)
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.worker import VoiceWorker
from tests.unit.serve_app.handle import BrokenHandle, HandleTo
from tests.unit.serve_app.house import House

SERVE_APP = Path(__file__).resolve().parents[3] / "serve_app"
SECRET = b"s" * 32
CALL = re.compile(r"(?:self\._|ctx\.|context\.|await )(gate|voice)\.(\w+)\(")
UNSPOKEN = "the words that nobody may read"


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Counter(Protocol):
    async def add(self, first: int, *, second: int = 0) -> int: ...

    @time_limit(0.01)
    async def wait(self) -> None: ...

    def count(self, upto: int) -> AsyncGenerator[int]: ...


class WiderCounter(Counter, Protocol):
    @time_limit(UNTIL_DONE_S)
    async def add(self, first: int, *, second: int = 0) -> int: ...


class RealCounter:
    def __init__(self, fails_with: Exception | None = None) -> None:
        self.fails_with = fails_with
        self.never = asyncio.Event()
        self.closed = False

    async def add(self, first: int, *, second: int = 0) -> int:
        if self.fails_with is not None:
            raise self.fails_with
        return first + second

    async def wait(self) -> None:
        await self.never.wait()

    async def count(self, upto: int) -> AsyncGenerator[int]:
        try:
            for number in range(upto):
                yield number
            if self.fails_with is not None:
                raise self.fails_with
        finally:
            self.closed = True

    async def reset(self) -> None:
        pytest.fail("it is no method of the protocol")


def callee(counter: RealCounter | None = None) -> Callee:
    return Callee(CallSigner(SECRET)).offer(Counter, counter or RealCounter())


def over_a_handle(counter: RealCounter) -> Counter:
    return remote(
        Counter, HandleTo(callee(counter)), CallSigner(SECRET), timeout_s=20, lost="engine_unavailable"
    )


def in_process(counter: RealCounter) -> Counter:
    return local(Counter, counter)


# the stub -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", [over_a_handle, in_process])
@on_a_loop
async def test_a_call_arrives_as_it_was_made_and_its_answer_comes_back(way: Any) -> None:
    assert await way(RealCounter()).add(1, second=2) == 3
    assert [piece async for piece in way(RealCounter()).count(3)] == [0, 1, 2]


def test_a_stub_has_the_methods_of_its_protocol_and_no_others() -> None:
    made = in_process(RealCounter())
    assert sorted(vars(made)) == ["add", "count", "wait"]


def test_a_protocol_that_inherits_refines_a_time_limit() -> None:
    limits = {str(method): method.time_limit_s for method in methods_of(WiderCounter)}
    assert limits == {
        "WiderCounter.add": UNTIL_DONE_S, "WiderCounter.wait": 0.01, "WiderCounter.count": None,
    }  # fmt: skip


@on_a_loop
async def test_a_method_is_waited_for_as_long_as_its_protocol_says() -> None:
    with pytest.raises(RequestRefused) as refused:
        await over_a_handle(RealCounter()).wait()
    assert refused.value.code == "engine_unavailable"
    assert not isinstance(refused.value, PeerLost), "it may still be at work, so it is not asked again"


@pytest.mark.parametrize("way", [over_a_handle, in_process])
@on_a_loop
async def test_closing_a_stub_s_stream_closes_the_callee_s(way: Any) -> None:
    if way is over_a_handle:
        handle = HandleTo(callee())
        pieces = handle.stream.remote(CallSigner(SECRET).sign("Counter.count", (2,), {}))
        handle.stream.remote = lambda _: pieces  # type: ignore[method-assign]
        counting = remote(Counter, handle, CallSigner(SECRET), timeout_s=20, lost="engine_unavailable").count(
            2
        )
        assert await anext(counting) == 0
        await counting.aclose()
        assert pieces.cancelled, "Serve is told, and ends the callee"
        return
    counter = RealCounter()
    async with aclosing(way(counter).count(2)) as counting:
        assert await anext(counting) == 0
    assert counter.closed


# refusals -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", [over_a_handle, in_process])
@on_a_loop
async def test_an_error_of_a_room_comes_back_as_a_refusal_with_its_code(way: Any) -> None:
    counter = RealCounter(GrantUsed("used before"))
    with pytest.raises(RequestRefused, match="used before") as refused:
        await way(counter).add(1)
    assert refused.value.code == "grant_used"
    seen = []
    with pytest.raises(RequestRefused) as refused:
        async for piece in way(counter).count(2):
            seen.append(piece)
    assert (seen, refused.value.code) == ([0, 1], "grant_used")


@pytest.mark.parametrize("way", [over_a_handle, in_process])
@on_a_loop
async def test_a_peer_that_the_callee_lost_is_not_lost_to_the_caller(way: Any) -> None:
    with pytest.raises(RequestRefused) as refused:
        await way(RealCounter(PeerLost("ledger_unavailable", "gone"))).add(1)
    assert (type(refused.value), refused.value.code) == (RequestRefused, "ledger_unavailable")


@on_a_loop
async def test_an_unexpected_error_crosses_a_handle_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counter = over_a_handle(RealCounter(ValueError(UNSPOKEN)))
    with caplog.at_level(logging.DEBUG), pytest.raises(RequestRefused) as refused:
        await counter.add(1)
    with pytest.raises(RequestRefused) as refused_last:
        [piece async for piece in counter.count(1)]
    assert (refused.value.code, refused_last.value.code) == ("internal_error", "internal_error")
    assert UNSPOKEN not in repr(refused.value) + repr(refused_last.value) + caplog.text
    assert "ValueError at tests.unit.serve_app.test_handles:" in caplog.text, (
        "type and place are enough to look for it"
    )


@pytest.mark.parametrize("error", [ValueError(UNSPOKEN), RequestRefused("internal_error", "…")])
@on_a_loop
async def test_whatever_a_gate_does_that_is_no_answer_is_a_refusal(error: Exception) -> None:
    gate = fail_closed(Counter, RealCounter(error))
    for asking in (gate.add(1), anext(gate.count(0))):
        with pytest.raises(RequestRefused) as refused:
            await asking
        assert refused.value.code == "gate_failed"


# the callee -----------------------------------------------------------------------------------------------------------
class Bomb:
    """Says when it is unpickled."""

    went_off = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (_explode, ())


def _explode() -> None:
    Bomb.went_off = True


def signed(method: str = "Counter.add", *args: Any, secret: bytes = SECRET) -> SignedCall:
    return CallSigner(secret).sign(method, args, {})


@pytest.mark.parametrize(
    "forged",
    [
        signed("Counter.add", 1, secret=b"another secret"),
        replace(signed(), signature=b""),
        replace(signed(), method="Counter.wait"),
        replace(signed(), payload=pickle.dumps(((2,), {}))),
        signed("Gate.add", 1),
        signed("Counter.reset"),
        signed("Counter.__init__"),
        signed("reset"),
        ("Counter.add", (), {}),
    ],
    ids=["secret", "signature", "method", "arguments", "protocol", "unlisted", "private", "bare-name", "bare"],
)  # fmt: skip
@on_a_loop
async def test_a_callee_refuses_every_call_that_is_not_signed_for_it(forged: Any) -> None:
    answer = await callee().call(forged)
    assert (isinstance(answer, Refused), answer.code) == (True, "not_one_of_ours")
    pieces = [piece async for piece in callee().stream(forged)]
    assert [piece.code for piece in pieces] == ["not_one_of_ours"]


@on_a_loop
async def test_a_method_is_answered_in_the_one_way_that_it_is_declared() -> None:
    assert (await callee().call(signed("Counter.count", 2))).code == "not_one_of_ours"
    assert [piece.code async for piece in callee().stream(signed("Counter.add", 2))] == ["not_one_of_ours"]


@on_a_loop
async def test_nothing_is_unpickled_before_the_signature_holds() -> None:
    bomb = SignedCall("Counter.add", pickle.dumps(((Bomb(),), {})), b"\0" * 32)
    assert (await callee().call(bomb)).code == "not_one_of_ours"
    assert not Bomb.went_off


def test_neither_secret_nor_arguments_show_in_a_repr() -> None:
    assert "marked" not in repr(signed("Counter.add", "a marked text"))


def test_what_does_not_implement_a_protocol_is_not_offered() -> None:
    with pytest.raises(AttributeError):
        Callee(CallSigner(SECRET)).offer(Gate, RealCounter())  # type: ignore[arg-type]


# our two protocols ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("protocol", "implementation"),
    [(Gate, ConsentGate), (SealedConsentApi, GateConsentApi), (VoiceReplica, VoiceWorker)],
)
def test_an_implementation_has_each_method_of_its_protocol_with_the_same_signature(
    protocol: type, implementation: type
) -> None:
    for method in methods_of(protocol):
        declared = getattr(protocol, method.name)
        implemented = getattr(implementation, method.name)
        assert inspect.signature(implemented) == inspect.signature(declared), method
        assert inspect.isasyncgenfunction(implemented) is method.in_pieces, method


def test_each_call_of_another_deployment_is_a_method_of_its_protocol() -> None:
    """mypy says so of what is typed; this, of what might not be."""
    called = {"gate": set[str](), "consents": set[str](), "voice": set[str]()}
    for path in SERVE_APP.rglob("*.py"):
        for peer, method in re.findall(
            r"(?:self\._|ctx\.|context\.|await )(gate|consents|voice)\.(\w+)\(", path.read_text("utf-8")
        ):
            called[peer].add(method)
    assert {"authorize", "redeem", "logged_at"} <= called["gate"], "the walk finds them"
    assert {"upload_key", "open_statement_to", "clip_record"} <= called["consents"], "the walk finds them"
    assert called["gate"] <= {method.name for method in methods_of(Gate)}
    sealed = {method.name for method in methods_of(SealedConsentApi)}
    assert called["consents"] <= sealed | {method.name for method in methods_of(ConsentApi)}
    assert called["voice"] <= {method.name for method in methods_of(VoiceReplica)}


def test_nothing_irreversible_or_examined_is_answered_try_again_while_it_goes_on() -> None:
    limits = {method.name: method.time_limit_s for method in methods_of(SealedConsentApi)}
    slow = {name for name, limit in limits.items() if limit is not None}
    assert slow == {
        "complete_sealed_enrolment", "complete_sealed_statement", "keep_sealed_design", "decommission",
        "decommission_own_voice", "sweep_voices", "resume_decommissions",
    }  # fmt: skip
    assert {limits[name] for name in slow} == {UNTIL_DONE_S}


def test_no_recording_may_cross_a_handle_in_the_clear() -> None:
    offered = {method.name for method in methods_of(SealedConsentApi)}
    assert offered.isdisjoint(method.name for method in methods_of(RecordingCalls))


def test_a_verifier_and_a_stamper_reach_the_gate_with_each_of_their_methods(house: House) -> None:
    """Over a handle, allow-list included."""
    gate: Gate = ConsentGate(house.service)
    handle = HandleTo(Callee(CallSigner(house.node_secret)).offer(Gate, gate))

    async def connect() -> BlockingGateClient:
        over = remote(Gate, handle, CallSigner(house.node_secret), timeout_s=20, lost="ledger_unavailable")
        return await BlockingGateClient.connect(over, house.node_secret)

    client = house.run(connect())
    assert isinstance(client, ManifestSigner)
    assert client.certificate_chain() == house.service.keys.certificate_chain()
    assert len(client.sign_manifest(b"claim")) == 64
    reader: ProofReader = client
    assert reader.standing("clip-unknown", None, None)[0].value == "unknown"
    assert reader.knows_clip("clip-unknown", "0" * 64) is None
    assert reader.logged_at("clip-unknown", "0" * 64) is None
    assert reader.watermark_keys() == house.service.clips.watermark_keys()


@on_a_loop
async def test_a_handle_that_breaks_is_a_lost_peer() -> None:
    broken = remote(
        Counter, BrokenHandle(ConnectionResetError()), CallSigner(SECRET), timeout_s=5, lost="gone"
    )
    with pytest.raises(PeerLost) as refused:
        await broken.add(1)
    assert refused.value.code == "gone"

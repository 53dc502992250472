"""What every `ProofReader` promises a verifier. The implementations: the ledger itself, a bundle that was exported
from it, and a gate's client, which asks a consent service elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consent_service.models import Closing, Redeemed
from consent_service.proofs.bundle import Bundle
from consent_service.proofs.protocols import ProofReader
from consent_service.proofs.records import Standing, WatermarkTag
from consent_service.proofs.trust import TrustedKeys
from consent_service.vault.sealing import load_node_secret
from serve_app.gate.client import BlockingGateClient
from serve_app.gate.consent_gate import ConsentGate
from serve_app.gate.protocol import Gate
from serve_app.handles import local
from tests.assets.installation import DAY, Tenant, digest

Open = Callable[[], ProofReader]


@pytest.fixture(params=["ledger", "bundle", "gate"])
def open_reader(request: pytest.FixtureRequest, world: Tenant, tmp_path: Path) -> Iterator[Open]:
    """Opens a reader of what the ledger holds at that moment."""

    def bundle() -> ProofReader:
        world.service.exports.write_bundle(world.auditor, tmp_path / "bundle")
        trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
        return Bundle.read((tmp_path / "bundle").read_bytes(), trusted, clock=world.clock)

    with ExitStack() as stack:

        def gate() -> ProofReader:
            remote, secret = local(Gate, ConsentGate(world.service)), load_node_secret(world.data_dir)
            connecting = BlockingGateClient.connect(remote, secret)
            return asyncio.run_coroutine_threadsafe(connecting, running_loop(stack)).result(30)

        openers: dict[str, Open] = {"ledger": lambda: world.service.clips, "bundle": bundle, "gate": gate}
        yield openers[request.param]


def running_loop(stack: ExitStack) -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, until the stack is left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack.callback(loop.close)
    stack.callback(thread.join)
    stack.callback(loop.call_soon_threadsafe, loop.stop)
    return loop


def spoken(world: Tenant, text: str = "hello", **changes: object) -> Redeemed:
    """A clip that was made, registered and handed over."""
    redeemed = world.service.gate.redeem(world.allow(text, **changes).token, world.replica.replica_id)
    record = redeemed.clip_record(created_at=world.clock.now)
    world.service.clips.register_clip(dataclasses.replace(record, audio_sha256=digest(text), seconds=1.0))
    world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, digest(text)))
    return redeemed


def standing(reader: ProofReader, redeemed: Redeemed) -> tuple[Standing, float]:
    grant = redeemed.grant
    return reader.standing(grant.clip_id, grant.consent_id, grant.consent_version)


def test_a_clip_under_a_live_consent_is_live_as_of_now(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world)
    assert standing(open_reader(), redeemed) == (Standing.LIVE, world.clock.now)


def test_a_preset_s_clip_needs_no_consent(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world, mode="custom", voice_id="Vivian")
    assert standing(open_reader(), redeemed)[0] is Standing.NOT_REQUIRED


def test_a_withdrawn_consent_is_withdrawn(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world)
    world.revoke()
    assert standing(open_reader(), redeemed)[0] is Standing.WITHDRAWN


def test_a_consent_that_ran_out_has_expired(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world)
    world.clock.now = world.consent.consent.terms.valid_until + DAY
    assert standing(open_reader(), redeemed)[0] is Standing.EXPIRED


def test_the_clip_of_a_voice_that_ended_is_decommissioned(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world)
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert standing(open_reader(), redeemed)[0] is Standing.DECOMMISSIONED


def test_nothing_is_claimed_of_a_clip_that_is_not_registered(world: Tenant, open_reader: Open) -> None:
    grant, reader = spoken(world).grant, open_reader()
    assert reader.standing("0" * 32, None, None) == (Standing.UNKNOWN, world.clock.now)
    assert reader.standing(grant.clip_id, grant.consent_id, 7)[0] is Standing.UNKNOWN
    assert reader.knows_clip("0" * 32, digest("hello")) is None
    assert reader.logged_at("0" * 32, digest("hello")) is None
    assert reader.marked_clip(WatermarkTag(9, 9)) is None


def test_a_clip_is_known_by_its_digest_alone(world: Tenant, open_reader: Open) -> None:
    clip_id, reader = spoken(world).grant.clip_id, open_reader()
    assert reader.knows_clip(clip_id, digest("hello")) is True
    assert reader.knows_clip(clip_id, digest("another")) is False


def test_the_log_says_when_a_file_was_handed_over(world: Tenant, open_reader: Open) -> None:
    clip_id, handed_over = spoken(world).grant.clip_id, world.clock.now
    world.clock.now += DAY
    reader = open_reader()
    assert reader.logged_at(clip_id, digest("hello")) == handed_over
    assert reader.logged_at(clip_id, digest("another")) is None


def test_a_mark_leads_to_the_clip_that_it_was_allotted_to(world: Tenant, open_reader: Open) -> None:
    redeemed = spoken(world)
    assert redeemed.watermark is not None
    found = open_reader().marked_clip(redeemed.watermark)
    assert found is not None
    assert (found.clip_id, found.audit_leaf) == (redeemed.grant.clip_id, redeemed.audit_leaf)


def test_watermark_keys_are_those_of_the_provider_or_none_at_all(world: Tenant, open_reader: Open) -> None:
    spoken(world)
    keys = open_reader().watermark_keys()
    assert keys in ({}, {1: world.service.keys.watermark_key(1)})

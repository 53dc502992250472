"""Using a grant up: once, in time, by a known replica, under a consent that still stands; or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from consent_service.clips import register
from consent_service.errors import (
    Conflict,
    GrantExpired,
    GrantForged,
    GrantMalformed,
    GrantMismatch,
    GrantRevoked,
    GrantUsed,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ReplicaUnknown,
    VaultError,
)
from consent_service.grants import GrantVerifier, Utterance, sign_grant
from consent_service.ledger.log import LogWriter
from consent_service.models import Allow, Closing, Deny, Redeemed
from consent_service.proofs.records import KeyPurpose
from consent_service.vault.sealing import ReplicaKey, load_node_secret, open_reference
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases


def redeem(world: Tenant, allowed: Allow | None = None) -> Redeemed:
    return world.service.gate.redeem((allowed or world.allow()).token, world.replica.replica_id)


def finish(world: Tenant, redeemed: Redeemed, audio: str = "ab" * 32) -> None:
    record = world.service.clips.find_clip("acme", redeemed.grant.clip_id)
    assert record is not None
    world.service.clips.register_clip(replace(record, audio_sha256=audio, seconds=2.0))


def test_a_grant_brings_the_reference_to_its_replica_and_to_no_other(world: Tenant) -> None:
    redeemed = redeem(world)
    wav, transcript = open_reference(world.replica, redeemed)
    assert (wav[:4], transcript) == (b"RIFF", "what is said in the sample")
    with pytest.raises(VaultError):
        open_reference(ReplicaKey(world.replica.replica_id), redeemed)
    assert wav[:200] not in (redeemed.sealed_reference or b"")
    assert "sealed_reference" not in repr(redeemed)


def test_a_grant_is_what_was_asked_and_verifies_for_the_engine(world: Tenant) -> None:
    said = Utterance("hello there", "en")
    claim = replace(world.claim(), said_digest=said.digest(), characters=said.characters)
    allowed = world.service.gate.authorize(world.narrator, claim)
    assert isinstance(allowed, Allow)
    public = world.service.keys.public_keys(KeyPurpose.GRANT)
    assert GrantVerifier(public, clock=world.clock).verify(allowed.token, said).grant == allowed.grant
    grant = allowed.grant
    assert (grant.tenant, grant.grantee, grant.key_id) == ("acme", "studio", world.narrator.key_id)
    assert (grant.voice_id, grant.consent_id, grant.consent_version) == (
        world.voice.voice_id,
        world.consent_id,
        1,
    )
    assert grant.start_by == world.clock.now + 30
    assert grant.valid_until == world.consent.consent.terms.valid_until
    assert allowed.token not in repr(allowed)


def test_a_grant_can_be_used_once(world: Tenant) -> None:
    allowed = world.allow()
    redeem(world, allowed)
    with pytest.raises(GrantUsed):
        redeem(world, allowed)
    with pytest.raises(GrantUsed):
        world.service.gate.redeem_cached(allowed.token, finished(world).grant.clip_id)
    assert world.kinds().count("speech.redeemed") == 2


def test_a_grant_raced_by_many_is_won_by_one(world: Tenant) -> None:
    allowed, barrier = world.allow(), threading.Barrier(8)

    def attempt(_: int) -> bool:
        barrier.wait()
        try:
            redeem(world, allowed)
        except GrantUsed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert world.kinds().count("speech.redeemed") == 1


def test_a_grant_starts_in_time_or_never(world: Tenant) -> None:
    allowed = world.allow()
    world.clock.now += 30.1
    with pytest.raises(GrantExpired):
        redeem(world, allowed)


def test_a_forged_or_broken_grant_is_refused(world: Tenant) -> None:
    grant, token = world.allow().grant, world.allow().token
    stranger = Ed25519PrivateKey.generate()
    kid = world.service.keys.current_key_id(KeyPurpose.GRANT)
    for forged, error in (
        (sign_grant(grant, key_id=kid, sign=stranger.sign), GrantForged),
        (sign_grant(grant, key_id="unknown", sign=stranger.sign), GrantForged),
        (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), GrantForged),
        ("", GrantMalformed),
        ("x.y", GrantMalformed),
        ("\ud800", GrantMalformed),
        ("W1tb" * 50_000 + ".x", GrantMalformed),
    ):
        with pytest.raises(error):
            world.service.gate.redeem(forged, world.replica.replica_id)
    assert "speech.redeemed" not in world.kinds()


def test_a_replica_without_the_node_secret_gets_nothing(world: Tenant) -> None:
    allowed, key = world.allow(), ReplicaKey("stranger")
    for proof in (
        b"",
        b"\0" * 32,
        key.proof(b"\0" * 32),
        world.replica.proof(load_node_secret(world.data_dir)),
    ):
        with pytest.raises(ReplicaUnknown):
            world.service.gate.register_replica("stranger", key.public_bytes, proof)
    with pytest.raises(ReplicaUnknown):
        world.service.gate.redeem(allowed.token, "stranger")
    with pytest.raises(ReplicaUnknown):
        world.service.gate.redeem(allowed.token, "\ud800")
    redeem(world, allowed)  # a stranger's attempt does not use the grant up


def test_registering_gives_the_keys_that_verify_grants(world: Tenant) -> None:
    key = ReplicaKey("second")
    public = world.service.gate.register_replica(
        "second", key.public_bytes, key.proof(load_node_secret(world.data_dir))
    )
    assert GrantVerifier(public).verify_signature(world.allow().token).tenant == "acme"


def test_what_changed_since_the_grant_is_found(world: Tenant) -> None:
    def revoked() -> None:
        world.service.consents.revoke(world.admin, world.consent_id, "no")

    def other_consent_revoked() -> None:
        other = world.record()
        world.service.consents.revoke(world.admin, other.consent.consent_id, "no")

    def narrowed() -> None:
        world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration"])

    for change in (other_consent_revoked, narrowed, revoked):
        allowed = world.allow()
        change()
        with pytest.raises(GrantRevoked):
            redeem(world, allowed)


def test_a_consent_that_ended_between_grant_and_use_ends_the_grant(world: Tenant) -> None:
    short = world.record(valid_until=world.clock.now + 10)
    allowed = world.allow(consent_token=short.consent_token)
    assert allowed.grant.start_by == allowed.grant.valid_until == world.clock.now + 10
    world.clock.now += 10
    with pytest.raises(GrantRevoked) as refused:
        redeem(world, allowed)
    assert refused.value.code == "consent_expired"


def test_the_entry_is_on_the_disk_before_anything_is_sealed(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(*_: Any) -> bytes:
        seen.extend(world.kinds())
        raise VaultError("the disk is gone")

    monkeypatch.setattr(world.core.vault, "open", look)
    with pytest.raises(VaultError):
        redeem(world)
    assert seen[-1] == "speech.redeemed"
    closed = world.log()[-1]
    assert (closed["kind"], closed["outcome"], closed["reason"]) == ("speech.closed", "failed", "vault_error")


def test_a_clip_that_can_not_be_recorded_uses_nothing_up(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise Conflict("no")

    allowed, before = world.allow(), world.log()
    with monkeypatch.context() as patch:
        patch.setattr(register, "new_row", broken)
        with pytest.raises(Conflict):
            redeem(world, allowed)
    *kept, refused = world.log()
    assert kept == before
    assert (refused["kind"], refused["code"]) == ("speech.refused", "conflict")
    redeem(world, allowed)


def test_every_refusal_is_in_the_log_and_repeats_no_caller_s_words(world: Tenant) -> None:
    asked = [
        world.claim(purpose="my own words", language="Klingon", territory="Narnia"),
        world.claim(voice_id="secret name"),
        world.claim(purpose="advertising"),
        world.claim(characters=10**18),
    ]
    world.service.gate.authorize_many(world.narrator, asked)
    allowed = world.allow()
    redeem(world, allowed)
    with pytest.raises(GrantUsed):
        redeem(world, allowed)
    with pytest.raises(PermissionDenied):
        world.service.gate.authorize(world.auditor, world.claim())
    refused = [entry for entry in world.log() if entry["kind"] == "speech.refused"]
    assert [entry["code"] for entry in refused] == [
        "purpose_unknown", "voice_unknown", "purpose_not_claimable", "claim_invalid", "grant_used", "permission_denied",
    ]  # fmt: skip
    text = str(refused)
    for word in ("words", "Klingon", "Narnia", "secret name"):
        assert word not in text


def test_an_allow_alone_writes_nothing(world: Tenant) -> None:
    before = world.log()
    world.allow()
    assert world.log() == before


def test_many_are_decided_like_one(world: Tenant) -> None:
    asked = [
        world.claim("a"),
        world.claim("b", purpose="advertising"),
        world.claim("c", voice_id="nobody"),
        world.claim("d", consent_token=world.consent.consent_token),
        world.claim("e", language="fr"),
        world.claim("f", mode="custom", voice_id="Vivian"),
    ]

    def outcome(decision: Allow | Deny) -> str:
        return decision.code if isinstance(decision, Deny) else decision.cache_scope

    many = [outcome(decision) for decision in world.service.gate.authorize_many(world.narrator, asked * 200)]
    assert many == [outcome(world.service.gate.authorize(world.narrator, claim)) for claim in asked] * 200
    assert world.service.gate.authorize_many(world.narrator, []) == []


def finished(world: Tenant, text: str = "hello") -> Redeemed:
    redeemed = redeem(world, world.allow(text))
    finish(world, redeemed)
    return redeemed


def test_a_cached_clip_goes_out_under_a_grant_of_its_own(world: Tenant) -> None:
    made = finished(world)
    allowed = world.allow()
    reused = world.service.gate.redeem_cached(allowed.token, made.grant.clip_id)
    assert reused.sealed_reference is None
    entry = world.log()[reused.audit_leaf]
    assert (entry["kind"], entry["reused"]) == ("speech.reused", made.grant.clip_id)
    with pytest.raises(GrantUsed):
        redeem(world, allowed)
    leaf = world.service.gate.close(allowed.grant.grant_id, Closing("completed", 2.0, "ab" * 32))
    assert world.log()[leaf]["clip"] == made.grant.clip_id


def test_a_cached_clip_of_anything_else_does_not(world: Tenant) -> None:
    made = finished(world)
    unfinished = redeem(world)
    second = world.record()
    for allowed, clip_id in (
        (world.allow("another text"), made.grant.clip_id),
        (world.allow(purpose="narration.audiobook"), made.grant.clip_id),
        (world.allow(consent_token=second.consent_token), made.grant.clip_id),
        (world.allow(mode="custom", voice_id="Vivian"), made.grant.clip_id),
        (world.allow(), unfinished.grant.clip_id),
        (world.allow(), "nothing"),
    ):
        with pytest.raises(GrantMismatch):
            world.service.gate.redeem_cached(allowed.token, clip_id)


def test_a_withdrawn_clip_is_no_longer_served_from_the_cache(world: Tenant) -> None:
    made = finished(world)
    again = world.record()
    world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration.news"])
    world.service.tenants.bind_consent(world.admin, world.narrator.key_id, again.consent.consent_id)
    with pytest.raises((GrantRevoked, GrantMismatch)):
        world.service.gate.redeem_cached(world.allow().token, made.grant.clip_id)
    preset = redeem(world, world.allow(mode="custom", voice_id="Vivian"))
    finish(world, preset)
    with world.core.write_as("acme") as writing:
        register.change(writing, preset.grant.clip_id, state="withdrawn")
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem_cached(
            world.allow(mode="custom", voice_id="Vivian").token, preset.grant.clip_id
        )


def test_closing_is_told_once(world: Tenant) -> None:
    redeemed = redeem(world)
    first = world.service.gate.close(redeemed.grant.grant_id, Closing("cut", 0.5, reason="consent_revoked"))
    assert world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 9.0, "ab" * 32)) == first
    entry = world.log()[first]
    assert (entry["outcome"], entry["seconds"], entry["reason"]) == ("cut", 0.5, "consent_revoked")
    assert "audio" not in entry


@pytest.mark.parametrize(
    "closing",
    [
        Closing("completed", float("nan")),
        Closing("completed", -1.0),
        Closing("completed", 1.0, "not a digest"),
        Closing("completed", reason="Words, of a person"),
        Closing("exploded"),  # type: ignore[arg-type]
    ],
)
def test_a_closing_that_is_no_closing_is_refused(world: Tenant, closing: Closing) -> None:
    redeemed = redeem(world)
    with pytest.raises(InvalidInput):
        world.service.gate.close(redeemed.grant.grant_id, closing)
    with pytest.raises(NotFound):
        world.service.gate.close("0" * 32, Closing("completed"))


def test_nobody_registers_a_clip_that_no_grant_allowed(world: Tenant) -> None:
    redeemed = redeem(world)
    record = world.service.clips.find_clip("acme", redeemed.grant.clip_id)
    assert record is not None
    assert (record.state, record.audio_sha256, record.audit_leaf) == ("live", "", redeemed.audit_leaf)
    with pytest.raises(NotFound):
        world.service.clips.register_clip(replace(record, clip_id="f" * 32))
    for changed in (
        {"voice_id": "voice_x"},
        {"consent_id": None},
        {"consent_version": 2},
        {"purpose": "advertising"},
        {"basis": "preset"},
        {"grantee": "others"},
        {"audit_leaf": 0},
    ):
        with pytest.raises(Conflict):
            world.service.clips.register_clip(replace(record, **changed))  # type: ignore[arg-type]


def test_a_digest_is_registered_once_and_copies_add_up(world: Tenant) -> None:
    redeemed = redeem(world)
    record = world.service.clips.find_clip("acme", redeemed.grant.clip_id)
    assert record is not None
    assert world.service.clips.knows_clip(record.clip_id, "ab" * 32) is None
    world.service.clips.register_store("file:///var/clips", "output")
    done = replace(record, audio_sha256="ab" * 32, seconds=2.0, objects=("file:///var/clips/acme/a",))
    world.service.clips.register_clip(done)
    world.service.clips.register_clip(done)
    world.service.clips.register_clip(replace(done, objects=("file:///var/clips/acme/c",)))
    with pytest.raises(Conflict):
        world.service.clips.register_clip(replace(done, audio_sha256="cd" * 32))
    found = world.service.clips.get(world.auditor, record.clip_id)
    assert (found.objects, found.seconds) == (("file:///var/clips/acme/a", "file:///var/clips/acme/c"), 2.0)
    assert world.service.clips.knows_clip(record.clip_id, "ab" * 32) is True
    assert world.service.clips.knows_clip(record.clip_id, "cd" * 32) is False
    world.service.consents.revoke(world.admin, world.consent_id, "no")
    world.service.clips.register_clip(replace(done, objects=("file:///var/clips/acme/late",), state="live"))
    assert world.service.clips.get(world.auditor, record.clip_id).state == "withdrawn"


def test_the_clock_is_read_under_the_lock_of_the_log(world: Tenant) -> None:
    """Who waits for the log may wait past the end of a consent."""
    done: list[str] = []

    def clock() -> float:
        assert any("log_heads" in statement for statement in done)
        return world.clock()

    core = world.core
    event.listen(
        core.ledger.engine, "after_cursor_execute", lambda *happened: done.append(happened[2]), named=False
    )
    with core.ledger.write() as connection:
        done.clear()
        assert LogWriter(connection, "acme", clock).now == world.clock()


@pytest.mark.parametrize(
    "claimed", [{"characters": 1}, {"language": "de"}, {"characters": 12}], ids=["short", "language", "long"]
)
def test_a_grant_is_worth_nothing_for_another_length_or_language_than_the_gate_was_told(
    world: Tenant, claimed: dict[str, Any]
) -> None:
    said = Utterance("hello there", "en")
    world.record(languages=("*",))
    claim = replace(world.claim(), said_digest=said.digest(), characters=said.characters)
    allowed = world.service.gate.authorize(world.narrator, replace(claim, **claimed))
    assert isinstance(allowed, Allow)
    verifier = GrantVerifier(world.service.keys.public_keys(KeyPurpose.GRANT), clock=world.clock)
    with pytest.raises(GrantMismatch):
        verifier.verify(allowed.token, said)


def test_a_clips_record_confirms_no_guess_of_what_was_said(world: Tenant) -> None:
    redeemed = redeem(world)
    mine = f"SELECT said_digest FROM clips WHERE clip_id = '{redeemed.grant.clip_id}'"
    ((said,),) = world.rows(mine)
    assert len(said) == 64
    assert said != redeemed.grant.said_digest

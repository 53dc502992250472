"""Consents: what is recorded, what narrowing takes away, and what a withdrawal ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consent_service.errors import Conflict, GrantRevoked, InvalidInput, KeyDestroyed
from consent_service.models import Deny, Role
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.records import KeyPurpose, Standing
from tests.assets.installation import DAY, Tenant


def spoken(world: Tenant, text: str = "hello", **claim: Any) -> str:
    """A finished clip; returns its id."""
    redeemed = world.service.gate.redeem(world.allow(text, **claim).token, world.replica.replica_id)
    record = world.service.clips.find_clip("acme", redeemed.grant.clip_id)
    assert record is not None
    world.service.clips.register_store("file:///var/clips", "output")
    world.service.clips.register_clip(
        replace(record, audio_sha256="ab" * 32, seconds=1.0, objects=("file:///var/clips/acme/a",))
    )
    return record.clip_id


def denied(world: Tenant, **claim: Any) -> str:
    verdict = world.service.gate.authorize(world.narrator, world.claim(**claim))
    assert isinstance(verdict, Deny)
    return verdict.code


def standing(world: Tenant, clip_id: str, version: int = 1) -> Standing:
    return world.service.clips.standing(clip_id, world.consent_id, version)[0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purposes": ()}, "purpose_unknown"),
        ({"purposes": ("narration", "all")}, "purpose_unknown"),
        ({"languages": ()}, "language_unsupported"),
        ({"languages": ("English",)}, "language_unsupported"),
        ({"territories": ()}, "territory_invalid"),
        ({"territories": ("Germany",)}, "territory_invalid"),
        ({"channels": ()}, "channel_invalid"),
        ({"grantee": " "}, "name_invalid"),
        ({"valid_until": 0.0}, "validity_invalid"),
        ({"valid_until": float("nan")}, "validity_invalid"),
        ({"valid_until": float("inf")}, "validity_invalid"),
        ({"valid_from": float("nan")}, "validity_invalid"),
        ({"valid_from": 3e9, "valid_until": 2.9e9}, "validity_invalid"),
        ({"valid_from": 1.8e9, "valid_until": 1.8e9 + 3700 * DAY}, "validity_invalid"),
    ],
)
def test_terms_that_no_consent_can_have_are_refused(
    world: Tenant, changes: dict[str, Any], code: str
) -> None:
    before = len(world.log())
    with pytest.raises(InvalidInput) as refused:
        world.record(**changes)
    assert refused.value.code == code
    assert len(world.log()) == before


def test_the_bearer_token_of_a_consent_works_for_its_grantee_and_voice_alone(world: Tenant) -> None:
    token = world.consent.consent_token
    free = world.key(Role.NARRATOR, purposes=("narration",), voices=("*",))
    others = world.key(Role.NARRATOR, grantee="others", purposes=("narration",), voices=("*",))
    second = world.enrol("Another", 220.0)

    def code(by: Any, **claim: Any) -> str:
        verdict = world.service.gate.authorize(by, world.claim(**claim))
        return verdict.code if isinstance(verdict, Deny) else "allowed"

    assert code(free) == "consent_required"
    assert code(free, consent_token=token) == "allowed"
    assert code(free, consent_token=token[:-1]) == "consent_token_invalid"
    assert code(free, consent_token="") == "consent_token_invalid"
    assert code(free, consent_token="\ud800") == "consent_token_invalid"
    assert code(free, consent_token=token, voice_id=second.voice_id) == "consent_token_invalid"
    assert code(others, consent_token=token) == "grantee_mismatch"
    # A wrong token is not rescued by the key's binding.
    assert code(world.narrator, consent_token="vct_wrong") == "consent_token_invalid"
    assert token not in repr(world.consent)


def test_a_withdrawal_ends_everything_made_under_it_and_nothing_else(world: Tenant) -> None:
    made = spoken(world)
    other = world.record()
    pending = world.allow("not yet redeemed")
    before = world.service.gate.revocations()
    assert standing(world, made) is Standing.LIVE

    revocation = world.service.consents.revoke(world.admin, world.consent_id, "changed my mind")

    assert denied(world) == "consent_revoked"
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem(pending.token, world.replica.replica_id)
    assert standing(world, made) is Standing.WITHDRAWN
    clip = world.service.clips.find_clip("acme", made)
    assert clip is not None
    assert clip.state == "withdrawn"
    assert clip.objects == ("file:///var/clips/acme/a",)  # still known, so that it can be deleted
    assert world.service.gate.revocations(after=before[-1].seq if before else 0) == [revocation]
    assert revocation.voice_epoch == world.service.voices.get(world.admin, world.voice.voice_id).epoch
    with pytest.raises(Conflict):
        world.service.consents.revoke(world.admin, world.consent_id, "again")
    # The other consent of the same voice still stands; its holder only asks anew.
    assert world.allow(consent_token=other.consent_token)
    assert world.kinds().count("consent.revoked") == 1


def test_the_receipt_tells_of_the_withdrawal(world: Tenant) -> None:
    keys = world.service.keys.public_keys(KeyPurpose.RECEIPT)
    assert (
        verify_receipt(world.service.consents.receipt(world.auditor, world.consent_id), keys)["state"]
        == "live"
    )
    world.service.consents.revoke(world.admin, world.consent_id, "private words")
    text = world.service.consents.receipt(world.auditor, world.consent_id)
    body = verify_receipt(text, keys)
    assert body["state"] == "revoked"
    assert [event["event_type"] for event in body["events"]] == ["given", "withdrawn"]
    assert "private words" not in text


def test_narrowing_takes_purposes_away_and_gives_none(world: Tenant) -> None:
    kept, lost = spoken(world, purpose="narration.audiobook"), spoken(world, purpose="narration.news")
    pending = world.allow(purpose="narration.audiobook")
    old = world.consent.consent_token
    narrowed = world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration.audiobook"])

    assert (narrowed.consent.version, narrowed.consent.terms.purposes) == (2, ("narration.audiobook",))
    assert denied(world, purpose="narration.news") == "purpose_not_consented"
    assert world.allow(purpose="narration.audiobook").grant.consent_version == 2
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem(pending.token, world.replica.replica_id)
    assert standing(world, kept) is Standing.LIVE
    assert standing(world, lost) is Standing.WITHDRAWN
    assert denied(world, purpose="narration.audiobook", consent_token=old) == "consent_token_invalid"
    assert world.allow(purpose="narration.audiobook", consent_token=narrowed.consent_token)
    for wider in (["narration"], ["narration.news"], ["advertising"]):
        with pytest.raises(InvalidInput) as refused:
            world.service.consents.narrow(world.admin, world.consent_id, purposes=wider)
        assert refused.value.code == "purpose_not_consented"
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    with pytest.raises(Conflict):
        world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration.audiobook"])


def test_the_standing_of_a_clip_follows_its_consent(world: Tenant) -> None:
    made = spoken(world)
    assert standing(world, made) is Standing.LIVE
    assert standing(world, made, version=2) is Standing.UNKNOWN
    assert world.service.clips.standing(made, None, None)[0] is Standing.UNKNOWN
    preset = spoken(world, mode="custom", voice_id="Vivian")
    assert world.service.clips.standing(preset, None, None) == (Standing.NOT_REQUIRED, world.clock.now)
    world.clock.now += 31 * DAY
    assert standing(world, made) is Standing.EXPIRED


def test_decommissioning_silences_the_voice_for_good(world: Tenant) -> None:
    made, pending = spoken(world), world.allow()
    voice = world.service.deletion.decommission(world.admin, world.voice.voice_id, "the contract ended")
    assert voice.state == "decommissioned"
    assert denied(world) == "voice_decommissioned"
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem(pending.token, world.replica.replica_id)
    assert standing(world, made) is Standing.DECOMMISSIONED
    assert world.service.consents.get(world.auditor, world.consent_id).state == "revoked"
    with pytest.raises(KeyDestroyed):
        world.core.vault.open("acme", voice.voice_id, "reference", voice.prompt_digest)
    assert not list(world.data_dir.rglob(f"*{voice.voice_id}*"))
    assert world.service.deletion.decommission(world.admin, world.voice.voice_id, "again") == voice
    assert [entry.consent_id for entry in world.service.gate.revocations()] == [None]


def test_a_destruction_that_was_cut_off_is_finished_by_the_next_call(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise OSError("disk gone")

    with monkeypatch.context() as broken:
        broken.setattr("consent_service.vault.vault.Vault.destroy", cut)
        with pytest.raises(OSError, match="disk gone"):
            world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert denied(world) == "voice_decommissioned"
    assert list(world.data_dir.rglob(f"*{world.voice.voice_id}*"))
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert not list(world.data_dir.rglob(f"*{world.voice.voice_id}*"))
    assert world.kinds().count("voice.decommissioned") == world.kinds().count("voice.key_destroyed") == 1


def test_reasons_and_names_reach_the_log_as_commitments_only(world: Tenant) -> None:
    world.service.consents.revoke(world.admin, world.consent_id, "because of Mr Private")
    log = "\n".join(world.service.log.entries(world.auditor))
    for word in ("Private", "A Person", "A voice", "studio"):
        assert word not in log

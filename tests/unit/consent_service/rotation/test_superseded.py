"""A key that was rotated away signs nothing new that verifies, whoever has kept a copy of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consent_service.errors import ProofInvalid
from consent_service.proofs.bundle import Bundle
from consent_service.proofs.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from consent_service.proofs.protocols import Signer
from consent_service.proofs.receipt import sign_receipt, verify_receipt
from consent_service.proofs.records import KeyPurpose
from consent_service.proofs.standings import STANDINGS_TYPE, verify_standings
from consent_service.proofs.statement import sign_statement
from consent_service.proofs.trust import TrustedKeys
from consent_service.rotation import superseded
from consent_service.rotation.rotate import KeyKind
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases

SUPERSEDED = "superseded by then"


def trusted(world: Tenant) -> TrustedKeys:
    return TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))


def stolen(world: Tenant, purpose: KeyPurpose) -> Signer:
    """A copy of the key that signs now."""
    return world.service.keys.signer(purpose)


def forged(world: Tenant, thief: Signer, size: int, root: bytes = bytes(32)) -> str:
    claim = Checkpoint(world.core.origin("acme"), size, root)
    return sign_checkpoint(claim, thief.public_key, thief.sign)


def test_a_superseded_log_key_signs_no_longer_log(world: Tenant) -> None:
    thief, before = stolen(world, KeyPurpose.LOG), world.service.log.checkpoint(world.auditor)
    world.service.rotation.rotate(world.admin, [KeyKind.LOG])
    now = trusted(world).verify_checkpoint(world.service.log.checkpoint(world.auditor)).size
    with pytest.raises(ProofInvalid, match=SUPERSEDED):
        trusted(world).verify_checkpoint(forged(world, thief, now + 1))
    # What it signed while it counted stands, and what the new key signs does.
    assert trusted(world).verify_checkpoint(before).size < now
    world.record()
    assert trusted(world).verify_checkpoint(world.service.log.checkpoint(world.auditor)).size > now
    (entry,) = [entry for entry in world.log() if entry["kind"] == "key.superseded"]
    assert (entry["ring"], entry["old"], entry["n"]) == ("log", thief.key_id, now - 1)


def test_a_superseded_receipt_key_signs_no_newer_receipt_nor_statement(world: Tenant) -> None:
    thief = stolen(world, KeyPurpose.RECEIPT)
    world.service.rotation.rotate(world.admin, [KeyKind.RECEIPT])
    assert verify_receipt(world.consent.receipt, trusted(world))["state"] == "live"
    newer = world.record().receipt
    body = verify_receipt(newer, trusted(world))

    def sign(message: bytes) -> tuple[str, bytes]:
        return thief.key_id, thief.sign(message)

    fake = sign_receipt(body | {"state": "revoked"}, sign)
    assert verify_receipt(fake, trusted(world).statements), "the signature alone says nothing of time"
    with pytest.raises(ProofInvalid, match=SUPERSEDED):
        verify_receipt(fake, trusted(world))
    told = json.loads(world.service.exports.standings(world.auditor))["statement"] | {"consents": []}
    with pytest.raises(ProofInvalid, match=SUPERSEDED):
        verify_standings(sign_statement(STANDINGS_TYPE, told, sign), trusted(world))
    with pytest.raises(ProofInvalid, match="where the log tells"):
        verify_receipt(sign_receipt({"state": "live"}, sign), trusted(world))


def test_what_a_thief_dates_back_does_not_fit_the_log(world: Tenant, tmp_path: Path) -> None:
    thief = stolen(world, KeyPurpose.LOG)
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    world.service.rotation.rotate(world.admin, [KeyKind.LOG])
    world.service.exports.write_bundle(world.auditor, tmp_path / "bundle")
    bundle = Bundle.read((tmp_path / "bundle").read_bytes(), trusted(world), clock=world.clock)
    clip_id, leaf = redeemed.grant.clip_id, redeemed.audit_leaf
    bundle.verify_in_log(clip_id, leaf, redeemed.checkpoint)
    fake = forged(world, thief, leaf + 1)
    assert trusted(world).verify_checkpoint(fake), "short enough for the key"
    with pytest.raises(ProofInvalid, match="rewritten"):
        bundle.verify_in_log(clip_id, leaf, fake)


def test_a_superseded_key_never_signed_for_a_log_that_began_later(world: Tenant) -> None:
    thief = stolen(world, KeyPurpose.LOG)
    world.service.rotation.rotate(world.admin, [KeyKind.LOG, KeyKind.RECEIPT])
    late = world.installation.tenant("late")
    claim = Checkpoint(world.core.origin("late"), 1, bytes(32))
    note = sign_checkpoint(claim, thief.public_key, thief.sign)
    former = [key for key in trusted(late).logs if key.public_key == thief.public_key]
    assert verify_checkpoint(note, former[0]) == claim
    with pytest.raises(ProofInvalid, match=SUPERSEDED):
        trusted(late).verify_checkpoint(note)
    assert trusted(late).verify_checkpoint(late.service.log.checkpoint(late.auditor))
    assert verify_receipt(late.consent.receipt, trusted(late))


def test_a_rotation_that_died_before_the_logs_were_told_is_finished(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = stolen(world, KeyPurpose.LOG)

    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(superseded, "close_off", died)
        with pytest.raises(KeyboardInterrupt):
            world.service.rotation.rotate(world.admin, [KeyKind.LOG])
    assert thief.public_key not in trusted(world).ends
    late = world.installation.tenant("late")  # begun meanwhile: told with the others
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.LOG])
    assert (rotated.old, rotated.resumed) == (thief.key_id, True)
    for each in (world, late):
        assert trusted(each).ends[thief.public_key] > 0
        assert verify_receipt(each.consent.receipt, trusted(each))


def test_the_file_of_keys_reads_back_and_bad_ends_are_refused(world: Tenant) -> None:
    world.service.rotation.rotate(world.admin)
    text = world.service.exports.trusted_keys(world.auditor)
    keys = TrustedKeys.from_text(text)
    assert len(keys.ends) == 2
    assert keys.to_text(world.core.origin("acme")) == text
    first = text.split("\n")[0].partition(" ")[0]
    for end in ("", "x", "-1", "01", "1 ", "٣", "9" * 20):
        with pytest.raises(ProofInvalid):
            TrustedKeys.from_text(f"{first} {end}\n")

"""Rotating keys: new ones take over, old ones serve as long as they are needed, and nothing is lost on the way."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent_service.clips.watermarks import current_epoch
from consent_service.errors import Conflict, GrantForged, StorageUnavailable, VaultError
from consent_service.keys import FileKeyProvider
from consent_service.keys.ring import KeyRing, Ring
from consent_service.keys.rings import RingProvider
from consent_service.models import Allow
from consent_service.proofs.log import verify_export
from consent_service.proofs.records import KeyPurpose
from consent_service.rotation.rotate import USUAL, KeyKind
from consent_service.service import ConsentService
from consent_service.vault.sealing import open_reference
from tests.assets.installation import DAY, Tenant

pytestmark = pytest.mark.on_both_databases

SIGNING = (KeyPurpose.GRANT, KeyPurpose.LOG, KeyPurpose.RECEIPT)


def ring(world: Tenant, name: Ring) -> KeyRing:
    keys = world.service.keys
    assert isinstance(keys, RingProvider)
    return keys.ring(name)


def speaks(world: Tenant, service: ConsentService | None = None) -> bool:
    """A clone's whole way, with its reference opened."""
    service = service or world.service
    allowed = service.gate.authorize(world.narrator, world.claim(str(world.clock.now)))
    assert isinstance(allowed, Allow), allowed
    redeemed = service.gate.redeem(allowed.token, world.replica.replica_id)
    return open_reference(world.replica, redeemed)[0].startswith(b"RIFF")


@pytest.mark.parametrize("purpose", SIGNING)
def test_what_the_old_key_signed_still_verifies_and_the_new_one_signs(
    world: Tenant, purpose: KeyPurpose
) -> None:
    keys = world.service.keys
    old, signature = keys.sign(purpose, b"message")
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind(purpose.value)])
    assert (rotated.old, rotated.new) == (old, keys.current_key_id(purpose))
    assert rotated.old != rotated.new
    public = keys.public_keys(purpose)
    Ed25519PublicKey.from_public_bytes(public[old]).verify(signature, b"message")
    kid, signature = keys.sign(purpose, b"message")
    assert kid == rotated.new
    Ed25519PublicKey.from_public_bytes(public[kid]).verify(signature, b"message")
    secrets = {kid: key.secret for kid, key in ring(world, Ring(purpose.value)).keys.items()}
    assert secrets[old] is None  # nobody signs with it any more, thief or not


def test_grants_that_are_out_survive_a_rotation_and_end_with_the_old_key(world: Tenant) -> None:
    before = world.allow("before")
    world.service.rotation.rotate(world.admin, [KeyKind.GRANT])
    assert world.service.gate.redeem(before.token, world.replica.replica_id)
    late = before.token
    with pytest.raises(Conflict) as refused:
        world.service.rotation.retire(world.admin, [KeyKind.GRANT])
    assert refused.value.code == "key_overlap"
    world.clock.now += 1.1 * DAY
    (retired,) = world.service.rotation.retire(world.admin, [KeyKind.GRANT])
    assert len(retired.key_ids) == 1
    with pytest.raises(GrantForged):
        world.service.gate.redeem(late, world.replica.replica_id)
    assert speaks(world)


def test_a_running_process_notices_at_once(world: Tenant) -> None:
    other = ConsentService.open(world.config, clock=world.clock)
    allowed = other.gate.authorize(world.narrator, world.claim("elsewhere"))
    world.service.rotation.rotate(world.admin)
    for purpose in SIGNING:
        assert other.keys.current_key_id(purpose) == world.service.keys.current_key_id(purpose)
    assert isinstance(allowed, Allow)
    assert other.gate.redeem(allowed.token, world.replica.replica_id)
    assert speaks(world, other)
    other.close()


def test_every_voice_is_rewrapped_and_the_old_key_can_go(world: Tenant) -> None:
    vault, keys = world.core.vault, world.service.keys
    assert isinstance(keys, RingProvider)
    other_voice = world.enrol("Another", 200.0)
    before = {v: vault.wrapped_key("acme", v) for v in (world.voice.voice_id, other_voice.voice_id)}
    seen: list[tuple[int, int]] = []
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK], lambda *at: seen.append(at))
    assert (rotated.rewrapped, rotated.left, rotated.resumed) == (2, 0, False)
    assert seen[-1] == (2, 2)
    for voice_id, wrapped in before.items():
        after = vault.wrapped_key("acme", voice_id)
        assert keys.wrapped_under(after) == rotated.new
        assert keys.wrapped_under(wrapped) == rotated.old
    assert speaks(world)
    world.clock.now += 1.1 * DAY
    assert world.service.rotation.retire(world.admin, [KeyKind.KEK])[0].key_ids == (rotated.old,)
    with pytest.raises(VaultError):  # a wrapped key from an old backup opens nothing any more
        keys.unwrap_key(before[world.voice.voice_id], b"whatever")
    assert speaks(world)


def test_a_key_under_which_something_is_still_wrapped_is_not_retired(world: Tenant) -> None:
    vault = world.core.vault
    challenge = world.service.voices.begin_enrolment(
        world.admin, name="n", language="en", grantee="studio", purpose="narration", subject_name="s"
    )
    vault.create_key("acme", challenge.voice_id)  # an enrolment under way
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (1, 1)
    world.clock.now += 1.1 * DAY
    with pytest.raises(Conflict) as refused:
        world.service.rotation.retire(world.admin, [KeyKind.KEK])
    assert refused.value.code == "key_in_use"
    assert rotated.old in ring(world, Ring.KEK).keys
    world.service.deletion.sweep_vault(world.admin, confirm=True)
    assert world.service.rotation.retire(world.admin, [KeyKind.KEK])


def test_a_voice_on_its_way_out_is_not_brought_back_by_a_rotation(world: Tenant) -> None:
    vault = world.core.vault
    wrapped = vault.wrapped_key("acme", world.voice.voice_id)
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    vault.write_wrapped_key("acme", world.voice.voice_id, wrapped)  # as if it were still being destroyed
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (0, 1)
    assert vault.wrapped_key("acme", world.voice.voice_id) == wrapped


def test_a_rotation_that_died_before_its_key_was_used_goes_on_with_that_key(world: Tenant) -> None:
    keys = world.service.keys
    assert isinstance(keys, RingProvider)
    kid, key = keys.new_key(Ring.GRANT)
    keys.write_ring(Ring.GRANT, ring(world, Ring.GRANT).publish(kid, key))
    assert keys.current_key_id(KeyPurpose.GRANT) != kid
    assert kid in keys.public_keys(KeyPurpose.GRANT)  # known before it is used
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.GRANT])
    assert (rotated.new, rotated.resumed) == (kid, True)
    assert ring(world, Ring.GRANT).coming is None


def test_a_rewrapping_that_died_is_finished_and_makes_no_third_key(world: Tenant) -> None:
    keys = world.service.keys
    assert isinstance(keys, RingProvider)
    kid, key = keys.new_key(Ring.KEK)
    begun = (
        ring(world, Ring.KEK).publish(kid, key).promote(world.clock.now, keep_secret=True, unfinished=True)
    )
    keys.write_ring(Ring.KEK, begun)
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.new, rotated.resumed, rotated.rewrapped) == (kid, True, 1)
    assert len(ring(world, Ring.KEK).keys) == 2
    assert not ring(world, Ring.KEK).unfinished


def test_a_new_watermark_epoch_has_a_secret_of_its_own_and_old_marks_stay_readable(world: Tenant) -> None:
    core = world.core
    assert world.service.gate.redeem(world.allow("one").token, world.replica.replica_id).watermark is not None
    first = core.keys.watermark_key(1)
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.WATERMARK])
    other = ConsentService.open(world.config, clock=world.clock)
    mark = other.gate.redeem(world.allow("two").token, world.replica.replica_id).watermark
    assert mark is not None
    assert mark.epoch == current_epoch(core) == 2
    assert world.service.clips.watermark_keys() == {2: core.keys.watermark_key(2), 1: first}
    kept = ring(world, Ring.WATERMARK)
    assert kept.keys[rotated.old].secret is not None
    assert kept.keys[rotated.new].from_epoch == 2
    assert world.service.rotation.retire(world.admin, [KeyKind.WATERMARK]) == []
    other.close()


def test_a_new_leaf_signs_and_the_old_one_stays_under_the_same_root(world: Tenant) -> None:
    keys = world.service.keys
    before, anchor = keys.certificate_chain(), keys.trust_anchor()
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.MANIFEST])
    assert rotated.old != rotated.new
    assert keys.trust_anchor() == anchor
    root = x509.load_pem_x509_certificate(anchor)
    for chain in (before, keys.certificate_chain()):
        x509.load_pem_x509_certificates(chain)[0].verify_directly_issued_by(root)
    assert len(keys.sign_manifest(b"claim")) == 64


def test_a_rotation_is_told_to_every_tenant_s_log_by_key_ids_alone(world: Tenant, tmp_path: Path) -> None:
    rival = ConsentService.open(world.config, clock=world.clock)
    rival_admin = rival.authenticate(rival.tenants.bootstrap("rival"))
    rotated = world.service.rotation.rotate(world.admin, [*USUAL, KeyKind.MANIFEST, KeyKind.WATERMARK])
    world.clock.now += 1.1 * DAY
    world.service.rotation.retire(world.admin)
    ours = [entry for entry in world.log() if str(entry["kind"]) in ("key.rotated", "key.retired")]
    theirs = [json.loads(e) for e in rival.log.entries(rival_admin) if "key.rotated" in e]
    assert [(e["ring"], e["old"], e["new"]) for e in ours if "new" in e] == [
        (r.kind, r.old, r.new) for r in rotated
    ]
    assert [(e["ring"], e["old"], e["new"]) for e in theirs] == [(r.kind, r.old, r.new) for r in rotated]
    assert {str(e["kind"]) for e in ours} == {"key.rotated", "key.retired"}
    assert all(e.get("by") == world.admin.key_id for e in ours)
    assert not any("by" in e for e in theirs)  # another tenant's operator is nobody's business
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export")
    rival.close()


def test_keys_that_are_not_ours_are_not_rotated(world: Tenant) -> None:
    core = world.core
    other = ConsentService.open(world.config, clock=world.clock, keys=Borrowed(core.keys))  # type: ignore[arg-type]
    with pytest.raises(Conflict) as refused:
        other.rotation.rotate(world.admin)
    assert refused.value.code == "keys_not_rotatable"
    other.close()


class Borrowed:
    """A key provider of somebody else's making."""

    def __init__(self, keys: object) -> None:
        self._keys = keys

    def __getattr__(self, name: str) -> object:
        return getattr(self._keys, name)


def test_a_folder_of_the_first_form_opens_and_keeps_its_keys(world: Tenant) -> None:
    folder = world.data_dir / "keys"
    keys = FileKeyProvider(folder)
    chain, public = keys.certificate_chain(), keys.public_keys(KeyPurpose.LOG)
    mark = keys.watermark_key(1)
    for path in folder.glob("*.json"):  # as the first form wrote them
        document = json.loads(path.read_bytes())
        if path.name == "manifest.json":
            (folder / "manifest-leaf.pem").write_bytes(base64.b64decode(document["leaf_key"]))
            (folder / "manifest-chain.pem").write_text(document["chain"])
            path.unlink()
            continue
        plain = {kid: key["secret"] for kid, key in document["keys"].items()}
        path.write_text(json.dumps({"v": 1, "current": document["current"], "keys": plain}))
    for name in ("manifest-leaf.pem", "manifest-chain.pem"):
        (folder / name).chmod(0o600)
    again = ConsentService.open(world.config, clock=world.clock)
    assert again.keys.certificate_chain() == chain
    assert again.keys.public_keys(KeyPurpose.LOG) == public
    assert again.keys.watermark_key(1) == mark
    assert not list(folder.glob("manifest-leaf.pem"))
    assert speaks(world, again)
    again.close()


def test_one_damaged_key_is_counted_and_the_others_are_rewrapped(world: Tenant) -> None:
    vault, other = world.core.vault, world.enrol("Another", 210.0)
    wrapped = vault.wrapped_key("acme", other.voice_id)
    vault.write_wrapped_key("acme", other.voice_id, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    vault.create_key("nobody", "voice_x")  # of no tenant of this ledger
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (1, 2)
    world.clock.now += 2 * DAY
    with pytest.raises(Conflict, match="2 data keys"):
        world.service.rotation.retire(world.admin, [KeyKind.KEK])


def test_a_store_that_goes_away_stops_the_rewrapping_and_the_next_try_ends_it(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = world.core.vault

    def away(*_: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(vault, "write_wrapped_key", away)
        with pytest.raises(StorageUnavailable):
            world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert ring(world, Ring.KEK).unfinished
    assert speaks(world)
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.resumed, rotated.rewrapped) == (True, 1)


def test_a_key_that_is_destroyed_meanwhile_is_nobody_s_trouble(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = world.core.vault
    here = vault.voices()
    monkeypatch.setattr(vault, "voices", lambda: [*here, ("acme", "voice_gone")])
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (1, 0)
    world.clock.now += 2 * DAY
    assert world.service.rotation.retire(world.admin, [KeyKind.KEK])[0].key_ids == (rotated.old,)
    assert world.service.rotation.retire(world.admin, [KeyKind.KEK])[0].key_ids == ()

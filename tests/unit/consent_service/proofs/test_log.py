"""An exported log, checkpoints and receipts: verified without us, and any change is found."""

from __future__ import annotations

import base64
import random
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.errors import InvalidInput, NotFound, ProofInvalid
from consent_service.models import Closing
from consent_service.proofs import merkle
from consent_service.proofs.checkpoint import (
    Checkpoint,
    LogKey,
    read_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from consent_service.proofs.log import CHECKPOINT, ENTRIES, KEY, verify_export
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.records import KeyPurpose
from tests.assets.installation import Tenant


@pytest.fixture
def export(world: Tenant, tmp_path: Path) -> Path:
    for text in ("one", "two", "three"):
        redeemed = world.service.gate.redeem(world.allow(text).token, world.replica.replica_id)
        world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.25, "ab" * 32))
    world.service.gate.authorize(world.narrator, world.claim(purpose="advertising"))
    world.service.log.export(world.auditor, tmp_path / "export")
    return tmp_path / "export"


def test_an_export_verifies_offline_and_says_what_is_in_it(world: Tenant, export: Path) -> None:
    summary = verify_export(export, trusted=world.core.log_key("acme"))
    assert summary.size == len(world.log())
    assert summary.kinds["speech.redeemed"] == summary.kinds["speech.closed"] == 3
    assert summary.kinds["speech.refused"] == 1
    assert summary.origin == "vouch.local/log/acme"


def test_any_change_of_any_byte_is_found(export: Path, tmp_path: Path) -> None:
    pick = random.Random(20)
    for name in (ENTRIES, CHECKPOINT, KEY):
        whole = (export / name).read_bytes()
        places = range(len(whole)) if len(whole) < 300 else pick.sample(range(len(whole)), 300)
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1 << pick.randrange(8)
            (export / name).write_bytes(changed)
            with pytest.raises(ProofInvalid):
                verify_export(export)
        for forged in (
            whole[:-1],
            whole[:-1] + b"x",
            whole + b"\n",
            whole + b" ",
            b"\n" + whole,
            b"",
            whole + whole,
        ):
            (export / name).write_bytes(forged)
            with pytest.raises(ProofInvalid):
                verify_export(export)
        (export / name).write_bytes(whole)
    verify_export(export)


def test_entries_can_not_be_dropped_doubled_or_reordered(export: Path) -> None:
    lines = (export / ENTRIES).read_bytes().splitlines(keepends=True)
    for forged in (lines[:-1], lines[1:], [*lines, lines[-1]], [lines[1], lines[0], *lines[2:]]):
        (export / ENTRIES).write_bytes(b"".join(forged))
        with pytest.raises(ProofInvalid):
            verify_export(export)


def test_a_log_that_someone_else_signed_anew_is_not_the_trusted_one(world: Tenant, export: Path) -> None:
    forger = Ed25519PrivateKey.generate()
    public = forger.public_key().public_bytes_raw()
    entries = (export / ENTRIES).read_bytes().splitlines(keepends=True)[:1]
    tree, _ = merkle.Frontier().append(merkle.leaf_hash(entries[0][:-1]))
    note = sign_checkpoint(Checkpoint("vouch.local/log/acme", 1, tree.root()), public, forger.sign)
    (export / ENTRIES).write_bytes(entries[0])
    (export / CHECKPOINT).write_bytes(note.encode())
    (export / KEY).write_bytes(LogKey("vouch.local/log/acme", public).to_text().encode() + b"\n")
    verify_export(export)  # whole in itself …
    with pytest.raises(ProofInvalid):
        verify_export(export, trusted=world.core.log_key("acme"))  # … and not ours


def test_a_folder_that_is_not_an_export_is_refused(tmp_path: Path, export: Path) -> None:
    with pytest.raises(ProofInvalid):
        verify_export(tmp_path / "nowhere")
    for name in (ENTRIES, CHECKPOINT, KEY):
        shutil.copytree(export, tmp_path / name)
        (tmp_path / name / name).unlink()
        with pytest.raises(ProofInvalid):
            verify_export(tmp_path / name)


def test_the_checkpoint_of_a_redemption_covers_its_leaf(world: Tenant) -> None:
    world.service.gate.redeem(world.allow("before").token, world.replica.replica_id)
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    key = world.core.log_key("acme")
    seen = verify_checkpoint(redeemed.checkpoint, key)
    assert seen.size > redeemed.audit_leaf
    entry = world.service.log.entries(world.auditor, redeemed.audit_leaf, 1)[0].encode()
    path = world.service.log.inclusion_proof(world.auditor, redeemed.audit_leaf, seen.size)
    merkle.verify_inclusion(redeemed.audit_leaf, seen.size, merkle.leaf_hash(entry), path, seen.root)

    world.service.gate.redeem(world.allow("later").token, world.replica.replica_id)
    now = verify_checkpoint(world.service.log.checkpoint(world.auditor), key)
    proof = world.service.log.consistency_proof(world.auditor, seen.size, now.size)
    merkle.verify_consistency(seen.size, now.size, seen.root, now.root, proof)


def test_there_is_no_proof_about_entries_that_are_not_there(world: Tenant) -> None:
    size = len(world.log())
    with pytest.raises(NotFound):
        world.service.log.inclusion_proof(world.auditor, size, size + 1)
    with pytest.raises(NotFound):
        world.service.log.consistency_proof(world.auditor, size, size + 1)


def test_a_receipt_verifies_offline_and_not_after_any_change(world: Tenant) -> None:
    text, keys = world.consent.receipt, world.service.keys.public_keys(KeyPurpose.RECEIPT)
    body = verify_receipt(text, keys)
    assert body["record_id"] == world.consent_id
    assert "A Person" not in text
    pick = random.Random(7)
    raw = text.encode()
    for place in pick.sample(range(len(raw)), 300):
        changed = bytearray(raw)
        changed[place] ^= 1 << pick.randrange(7)
        with pytest.raises(ProofInvalid):
            verify_receipt(changed.decode(), keys)
    for forged in (text + " ", text + "\n", "[]", "", "null", text.replace('{"receipt"', '{"a":1,"receipt"')):
        with pytest.raises(ProofInvalid):
            verify_receipt(forged, keys)
    with pytest.raises(ProofInvalid):
        verify_receipt(text, {})


def test_a_checkpoint_that_claims_a_size_beyond_all_counting_is_invalid_and_no_crash() -> None:
    root = base64.b64encode(bytes(32)).decode()
    blob = base64.b64encode(bytes(68)).decode()
    with pytest.raises(ProofInvalid):
        read_checkpoint(f"log\n{'9' * 5000}\n{root}\n\n\u2014 log {blob}\n")


def test_an_export_that_can_not_be_written_says_so(world: Tenant, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInput) as refused:
        world.service.log.export(world.auditor, tmp_path / "file")
    assert refused.value.code == "folder_unusable"

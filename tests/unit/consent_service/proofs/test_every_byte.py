"""Whatever was exported, signed or proven: change any byte of it, anywhere, and the change is found, as one error.

At every place of every file a byte is replaced; at many one is inserted or dropped, or the rest is cut off. The long
form flips every single bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import ProofInvalid
from consent_service.models import Closing
from consent_service.proofs import merkle
from consent_service.proofs.bundle import Bundle
from consent_service.proofs.certificate import verify_certificate
from consent_service.proofs.checkpoint import LogKey, verify_checkpoint
from consent_service.proofs.log import CHECKPOINT, ENTRIES, KEY, verify_export, verify_log
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.standings import verify_standings
from consent_service.proofs.statement import text_of
from consent_service.proofs.trust import TrustedKeys
from tests.assets.installation import Tenant

Check = Callable[[bytes], object]


def one(whole: bytes, place: int, pick: random.Random) -> set[int]:
    """A flipped bit, or any other value."""
    return {
        whole[place] ^ (1 << pick.randrange(8))
        if place % 2
        else (whole[place] + pick.randrange(1, 256)) % 256
    }


def many(whole: bytes, place: int, pick: random.Random) -> set[int]:
    """Each of the eight bits flipped, and eight other values."""
    flipped = {whole[place] ^ (1 << bit) for bit in range(8)}
    return flipped | set(pick.sample([value for value in range(256) if value != whole[place]], 8))


def every_other(whole: bytes, place: int, _: random.Random) -> set[int]:
    return set(range(256)) - {whole[place]}


def changes(
    whole: bytes, values: Callable[[bytes, int, random.Random], set[int]], every: int = 1
) -> Iterator[bytes]:
    """Values replaced at each place; at every so many also a byte more, a byte less, and all that follows cut."""
    pick = random.Random(len(whole))
    for place in range(len(whole)):
        for value in values(whole, place, pick):
            yield whole[:place] + bytes([value]) + whole[place + 1 :]
        if place % every == 0:
            yield whole[:place] + bytes([pick.randrange(256)]) + whole[place:]
            yield whole[:place] + whole[place + 1 :]
            yield whole[:place]
    yield from (whole + b"\n", whole + b" ", whole + b"\0", b"\xef\xbb\xbf" + whole, whole + whole)


def artefacts(world: Tenant, folder: Path) -> dict[str, tuple[bytes, Check]]:
    """Each kind of file that leaves the house, with what verifies it."""
    service = world.service
    redeemed = service.gate.redeem(world.allow().token, world.replica.replica_id)
    service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.25, "ab" * 32))
    receipt = service.consents.receipt(world.auditor, world.consent_id)
    service.exports.write_bundle(world.auditor, folder / "bundle")
    service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    keys = service.exports.trusted_keys(world.auditor)
    trusted = TrustedKeys.from_text(keys)
    service.log.export(world.auditor, folder / "export")
    parts = {name: (folder / "export" / name).read_bytes() for name in (ENTRIES, CHECKPOINT, KEY)}
    key = LogKey.from_text(text_of(parts[KEY]).removesuffix("\n"))

    def log(raw: bytes) -> object:
        return verify_log(raw.splitlines(keepends=True), text_of(parts[CHECKPOINT]), key)

    def key_file(raw: bytes) -> object:
        (folder / "export" / KEY).write_bytes(raw)
        return verify_export(folder / "export", trusted=trusted)

    return {
        "log": (parts[ENTRIES], log),
        "checkpoint": (parts[CHECKPOINT], lambda raw: verify_checkpoint(text_of(raw), key)),
        "log key": (parts[KEY], key_file),
        "receipt": (receipt.encode(), lambda raw: verify_receipt(text_of(raw), trusted.statements)),
        "certificate": (
            service.deletion.certificate(world.admin, world.voice.voice_id).encode(),
            lambda raw: verify_certificate(text_of(raw), trusted),
        ),
        "standings": (
            service.exports.standings(world.auditor).encode(),
            lambda raw: verify_standings(text_of(raw), trusted),
        ),
        "bundle": ((folder / "bundle").read_bytes(), lambda raw: Bundle.read(raw, trusted)),
        "bundle on its own": ((folder / "bundle").read_bytes(), Bundle.read),
    }


def find_all(files: dict[str, tuple[bytes, Check]], *arguments: Any) -> int:
    tried = 0
    for name, (whole, check) in files.items():
        check(whole)
        for changed in changes(whole, *arguments):
            if changed != whole:
                tried += 1
                with pytest.raises(ProofInvalid):
                    check(changed)
                    pytest.fail(f"{name}: {changed!r}")
    return tried


@pytest.mark.slow
def test_any_change_of_any_byte_of_any_file_is_found(world: Tenant, tmp_path: Path) -> None:
    assert find_all(artefacts(world, tmp_path), one, 5) > 25_000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_bit_of_every_byte_of_every_file_counts(world: Tenant, tmp_path: Path) -> None:
    assert find_all(artefacts(world, tmp_path), many) > 300_000


def test_any_change_of_any_byte_of_a_proof_is_found(world: Tenant) -> None:
    service = world.service
    for text in ("one", "two", "three"):
        service.gate.redeem(world.allow(text).token, world.replica.replica_id)
    size, first = len(world.log()), len(world.log()) - 3
    roots = {}
    tree = merkle.Frontier()
    for number, entry in enumerate(service.log.entries(world.auditor), 1):
        tree, _ = tree.append(merkle.leaf_hash(entry.encode()))
        roots[number] = tree.root()
    leaf = merkle.leaf_hash(service.log.entries(world.auditor, first, 1)[0].encode())
    inclusion = service.log.inclusion_proof(world.auditor, first, size)
    consistency = service.log.consistency_proof(world.auditor, first, size)

    def included(path: list[bytes]) -> None:
        merkle.verify_inclusion(first, size, leaf, path, roots[size])

    def consistent(path: list[bytes]) -> None:
        merkle.verify_consistency(first, size, roots[first], roots[size], path)

    for check, path in ((included, inclusion), (consistent, consistency)):
        check(path)
        whole = b"".join(path)
        for changed in changes(whole, every_other):
            if changed != whole:
                with pytest.raises(ProofInvalid):
                    check([changed[at : at + 32] for at in range(0, len(changed), 32)])


@pytest.mark.parametrize("text", ["", "\n", "null", "[]", "{}", '{"statement":1}', "[" * 100_000, "1" * 5000])
def test_what_is_no_statement_at_all_is_refused_alike(world: Tenant, text: str) -> None:
    trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
    for check in (verify_certificate, verify_standings):
        with pytest.raises(ProofInvalid):
            check(text, trusted)
    with pytest.raises(ProofInvalid):
        Bundle.read(text.encode(), trusted)
    with pytest.raises(ProofInvalid):
        Bundle.read(text.encode())
    with pytest.raises(ProofInvalid):
        TrustedKeys.from_text(text)

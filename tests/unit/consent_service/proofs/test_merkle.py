"""The tree against RFC 6962's own words and published vectors."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_service.errors import ProofInvalid
from consent_service.proofs import merkle
from consent_service.proofs.merkle import Frontier, consistency_path, leaf_hash, verify_consistency

# The reference inputs and roots of the Certificate Transparency implementation.
INPUTS = [
    bytes.fromhex(raw)
    for raw in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Its proofs over the same inputs: (leaf, size) counted from 0, and (first, second).
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
SIZES = 300


def naive(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it down."""
    return _mth(tuple(leaves))


@cache
def _mth(leaves: tuple[bytes, ...]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _mth(leaves[:split]) + _mth(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH as RFC 6962 §2.1.1 writes it down."""
    if len(leaves) <= 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive(leaves[:split])]


def naive_proof(first: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF as RFC 6962 §2.1.2 writes them down."""
    if first == len(leaves):
        return [] if whole else [naive(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if first <= split:
        return [*naive_proof(first, leaves[:split], whole), naive(leaves[split:])]
    return [*naive_proof(first - split, leaves[split:], False), naive(leaves[:split])]


def grow(leaves: list[bytes]) -> tuple[list[Frontier], dict[tuple[int, int], bytes]]:
    trees, nodes = [Frontier()], {}
    for leaf in leaves:
        tree, made = trees[-1].append(leaf_hash(leaf))
        nodes.update({(node.level, node.index): node.digest for node in made})
        trees.append(tree)
    return trees, nodes


LEAVES = [str(number).encode() for number in range(SIZES)]
TREES, NODES = grow(LEAVES)


def node(level: int, index: int) -> bytes:
    return NODES[level, index]


def test_the_published_vectors_come_out() -> None:
    assert [tree.root().hex() for tree in grow(INPUTS)[0][1:]] == ROOTS
    assert merkle.EMPTY_ROOT == naive([]) == Frontier().root()
    _, nodes = grow(INPUTS)
    read = lambda level, index: nodes[level, index]  # noqa: E731
    for (index, size), path in INCLUSION.items():
        assert [node.hex() for node in merkle.inclusion_path(index, size, read)] == path
        raw = [bytes.fromhex(node) for node in path]
        merkle.verify_inclusion(index, size, leaf_hash(INPUTS[index]), raw, bytes.fromhex(ROOTS[size - 1]))
    for (first, second), path in CONSISTENCY.items():
        assert [node.hex() for node in merkle.consistency_path(first, second, read)] == path
        roots = bytes.fromhex(ROOTS[first - 1]), bytes.fromhex(ROOTS[second - 1])
        merkle.verify_consistency(first, second, *roots, [bytes.fromhex(node) for node in path])


@pytest.mark.parametrize("size", range(SIZES + 1))
def test_a_grown_tree_has_the_root_of_the_definition(size: int) -> None:
    assert TREES[size].root() == naive(LEAVES[:size])
    assert Frontier.from_bytes(size, TREES[size].to_bytes()) == TREES[size]


def test_every_proof_of_every_size_is_the_one_of_the_definition() -> None:
    for size in range(1, SIZES + 1):
        leaves = LEAVES[:size]
        for index in range(size):
            assert merkle.inclusion_path(index, size, node) == naive_path(index, leaves)
            assert merkle.consistency_path(index + 1, size, node) == naive_proof(index + 1, leaves)


@pytest.mark.parametrize("size", range(1, SIZES + 1))
def test_every_leaf_of_every_size_proves_its_place_and_no_other(size: int) -> None:
    root = TREES[size].root()
    for index in range(size):
        path = merkle.inclusion_path(index, size, node)
        merkle.verify_inclusion(index, size, leaf_hash(LEAVES[index]), path, root)
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(index, size, leaf_hash(b"another"), path, root)
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(index, size, leaf_hash(LEAVES[index]), [*path, root], root)
        if size > 1:
            with pytest.raises(ProofInvalid):
                merkle.verify_inclusion((index + 1) % size, size, leaf_hash(LEAVES[index]), path, root)
            with pytest.raises(ProofInvalid):
                merkle.verify_inclusion(index, size, leaf_hash(LEAVES[index]), path[:-1], root)


@pytest.mark.parametrize("second", range(1, SIZES + 1))
def test_every_tree_proves_that_it_extends_every_earlier_one(second: int) -> None:
    for first in range(1, second + 1):
        path = merkle.consistency_path(first, second, node)
        old, new = TREES[first].root(), TREES[second].root()
        merkle.verify_consistency(first, second, old, new, path)
        with pytest.raises(ProofInvalid):
            merkle.verify_consistency(first, second, leaf_hash(b"x"), new, path)
        with pytest.raises(ProofInvalid):
            merkle.verify_consistency(first, second, old, leaf_hash(b"x"), path)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40), st.data())
def test_a_rewritten_history_has_no_consistency_proof(leaves: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(leaves) - 1))
    forged = [*leaves]
    at = data.draw(st.integers(0, first - 1))
    forged[at] += b"!"
    trees, _ = grow(leaves)
    fake_trees, fake = grow(forged)
    path = merkle.consistency_path(first, len(leaves), lambda level, index: fake[level, index])
    with pytest.raises(ProofInvalid):
        merkle.verify_consistency(first, len(leaves), trees[first].root(), fake_trees[-1].root(), path)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        merkle.inclusion_path(index, size, node)
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(index, size, b"", [], b"")


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ProofInvalid):
        Frontier.from_bytes(3, b"\0" * 32)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (-1, 1), (2, 1)])
def test_consistency_with_an_empty_or_a_longer_log_proves_nothing(first: int, second: int) -> None:
    with pytest.raises(ProofInvalid):
        verify_consistency(first, second, bytes(32), bytes(32), [])
    with pytest.raises(ProofInvalid):
        consistency_path(first, second, lambda *_: bytes(32))

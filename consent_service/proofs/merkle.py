"""The Merkle tree of the audit log (RFC 6962 §2.1, proofs as in RFC 9162 §2.1.3 and §2.1.4). Pure.

A tree that only grows is kept as its *frontier*: the roots of the complete subtrees, largest first, one for
each bit that is set in the size. Appending touches O(log n) hashes; the root folds the frontier from the
right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from consent_service.errors import ProofInvalid

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

# Hash of the complete subtree over leaves [index·2^level, (index+1)·2^level).
NodeReader: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A complete subtree that an append brought into being."""

    level: int
    index: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ProofInvalid("the frontier does not fit the size of the tree")

    def append(self, leaf: bytes) -> tuple[Frontier, list[Node]]:
        """Add a leaf hash; returns the new frontier and every complete subtree that came of it."""
        peaks, digest, level, index = list(self.peaks), leaf, 0, self.size
        made = [Node(0, index, leaf)]
        while index & 1:
            digest, level, index = node_hash(peaks.pop(), digest), level + 1, index >> 1
            made.append(Node(level, index, digest))
        return Frontier(self.size + 1, (*peaks, digest)), made

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, raw: bytes) -> Frontier:
        return cls(size, tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)))


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, from the bottom up (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise ProofInvalid("no such leaf in a tree of this size")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_subtree(middle, stop, node))
            stop = middle
        else:
            path.append(_subtree(start, middle, node))
            start = middle
    return path[::-1]


def consistency_path(first: int, second: int, node: NodeReader) -> list[bytes]:
    """That the tree of `first` leaves is a prefix of the one of `second` (RFC 6962 §2.1.2)."""
    if not 0 < first <= second:
        raise ProofInvalid("a consistency proof needs 0 < first ≤ second")
    path: list[bytes] = []
    start, stop, whole = 0, second, True
    while first != stop:
        middle = start + _split(stop - start)
        if first <= middle:
            path.append(_subtree(middle, stop, node))
            stop = middle
        else:
            path.append(_subtree(start, middle, node))
            start, whole = middle, False
    if not whole:
        path.append(_subtree(start, stop, node))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Raises ProofInvalid unless `leaf` is at `index` under `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofInvalid("no such leaf in a tree of this size")
    fn, sn, digest = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            digest = node_hash(sibling, digest)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            digest = node_hash(digest, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn or digest != root:
        raise ProofInvalid("the inclusion proof does not lead to the root")


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Raises ProofInvalid unless the second tree extends the first (RFC 9162 §2.1.4.2)."""
    if not 0 < first <= second:
        raise ProofInvalid("a consistency proof needs 0 < first ≤ second")
    if first == second:
        if path or first_root != second_root:
            raise ProofInvalid("two trees of one size differ")
        return
    rest = list(path) if first & (first - 1) else [first_root, *path]
    if not rest:
        raise ProofInvalid("the consistency proof is empty")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = rest[0]
    for sibling in rest[1:]:
        if sn == 0:
            raise ProofInvalid("the consistency proof is too long")
        if fn & 1 or fn == sn:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn or old != first_root or new != second_root:
        raise ProofInvalid("the later tree does not extend the earlier one")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(start: int, stop: int, node: NodeReader) -> bytes:
    """The hash over leaves [start, stop), from complete subtrees."""
    size = stop - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_subtree(start, middle, node), _subtree(middle, stop, node))

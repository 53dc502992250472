"""The leaf under which manifests are signed, renewed by the processes that sign under it.

It goes the way of `vouch key rotate --purpose manifest`: the same lock, the same word in every tenant's log, the same
write (`rotation`). Processes that find it due at one moment wait for each other there, and all but the first find that
it is done. Where the root's key is kept elsewhere, nobody can renew: each of them says so, from the moment the leaf is
due, once a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from consent_service.core import Core
from consent_service.errors import VaultError
from consent_service.keys.keeper import CertificateRenewer
from consent_service.keys.lifetime import Lifetime
from consent_service.keys.manifest import SigningCertificate
from consent_service.keys.rings import RingProvider
from consent_service.rotation import rotate
from consent_service.rotation.rotate import Rotated

_AT_START_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What lies ahead of a leaf. `ends`: Unix seconds. `trouble`: empty, or why it will not be renewed by itself, and
    what to do."""

    leaf_id: str
    ends: float
    is_due: bool
    trouble: str


def keep(core: Core) -> CertificateRenewer:
    """Look after the leaf of this installation from now on, beginning with a leaf that is due already."""
    keeper = CertificateRenewer(partial(renew_in_time, core), core.clock)
    if isinstance(core.keys, RingProvider):
        core.keys.keep_leaf(keeper, core.clock)
        keeper.look(core.keys.leaf().life)
        keeper.wait(_AT_START_S)
    return keeper


def renew_in_time(core: Core) -> Rotated | None:
    """A new leaf, or None where another process was first. Raises VaultError when it can't be renewed here."""
    with rotate.alone(core, None) as keys:
        leaf = keys.leaf_afresh()
        if not leaf.life.is_due(core.clock()):
            return None
        trouble = _trouble(keys, leaf)
        if trouble:
            raise VaultError(trouble)
        return rotate.renew_leaf(core, None, keys)


def outlook(core: Core) -> CertificateStatus | None:
    """None for keys that are not ours to renew."""
    keys = core.keys
    if not isinstance(keys, RingProvider):
        return None
    leaf = keys.leaf()
    return CertificateStatus(
        leaf.leaf_id, leaf.life.ends, leaf.life.is_due(core.clock()), _trouble(keys, leaf)
    )


def _trouble(keys: RingProvider, leaf: SigningCertificate) -> str:
    if Lifetime.of(leaf.root).ends <= leaf.life.ends:
        return (
            "no leaf outlives the root that issued it, and this one ends with it: what is signed later needs a new "
            "root, which every verifier must be given"
        )
    if not keys.has_root_key:
        return (
            "the root's key is kept elsewhere: put manifest-root.pem back, run `vouch key rotate --purpose manifest`, "
            "and take it away again"
        )
    return ""

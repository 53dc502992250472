"""Moving data keys from one key-encryption key to another, one voice at a time.

A data key is rewrapped under the write lock of its tenant, and only while its voice can't be on its way out or in: an
enrolment or a decommissioning writes and deletes that same object, and a key that came back after its destruction
would be the one failure that nobody could repair. What is skipped is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from sqlalchemy import Connection

from consent_service.core import Core
from consent_service.errors import (
    KeyDestroyed,
    KeyServiceUnavailable,
    NotFound,
    StorageUnavailable,
    VaultError,
)
from consent_service.keys.ring import Ring
from consent_service.keys.rings import RingProvider
from consent_service.ledger.rows import find_value
from consent_service.ledger.tables import voices
from consent_service.vault.vault import CLIPS, key_aad

# How many of how many data keys were looked at.
ProgressCallback: TypeAlias = Callable[[int, int], None]

_IN_FLUX: Final = frozenset({"enrolling", "refused", "decommissioned"})


def rewrap(core: Core, keys: RingProvider, progress: ProgressCallback) -> tuple[int, int]:
    """Returns how many were rewrapped, and how many are left. Safe to repeat. Raises KeyServiceUnavailable or
    StorageUnavailable."""
    stored, outcomes = core.vault.voices(), Counter[str]()
    for number, (tenant, voice_id) in enumerate(stored, 1):
        outcomes[_rewrap(core, keys, tenant, voice_id)] += 1
        progress(number, len(stored))
    return outcomes["rewrapped"], outcomes["left"]


def wrapped_under(core: Core, keys: RingProvider, kids: Collection[str]) -> int:
    """How many stored data keys are wrapped under any of these."""
    found = 0
    for tenant, voice_id in core.vault.voices():
        try:
            found += keys.wrapped_under(core.vault.wrapped_key(tenant, voice_id)) in kids
        except KeyDestroyed:
            continue
    return found


def _rewrap(core: Core, keys: RingProvider, tenant: str, voice_id: str) -> str:
    try:
        if _is_current(core, keys, tenant, voice_id):
            return "current"
        with core.write_as(tenant) as writing:
            if not _is_settled(writing.connection, tenant, voice_id):
                return "left"
            wrapped = core.vault.wrapped_key(tenant, voice_id)
            anew = keys.rewrap_key(wrapped, key_aad(tenant, voice_id))
            core.vault.write_wrapped_key(tenant, voice_id, anew)
            return "rewrapped"
    except KeyDestroyed:
        return "gone"
    except (KeyServiceUnavailable, StorageUnavailable):
        raise
    except (VaultError, NotFound):  # damaged, or of no tenant of this ledger: the others go on
        return "left"


def _is_current(core: Core, keys: RingProvider, tenant: str, voice_id: str) -> bool:
    return keys.wrapped_under(core.vault.wrapped_key(tenant, voice_id)) == keys.ring(Ring.KEK).current


def _is_settled(connection: Connection, tenant: str, voice_id: str) -> bool:
    if voice_id == CLIPS:  # made under the same lock, once
        return True
    state = find_value(connection, voices.c.state, tenant, voice_id=voice_id)
    return state is not None and state not in _IN_FLUX

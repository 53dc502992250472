"""Opening an installation: folders, keys, node secret, ledger. One process at a time; safe to repeat.

A ledger that is in use while its keys are not there is a loss, not a first use: new keys would open nothing that
was sealed, so they must come back from their backup.
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import inspect, select

from consent_service.clips import stores
from consent_service.config import ConsentConfig
from consent_service.core import Core
from consent_service.errors import StorageUnavailable, VaultError
from consent_service.keys import FileKeyProvider
from consent_service.keys.creation import new_ring
from consent_service.keys.ring import Ring
from consent_service.keys.rings import RingProvider
from consent_service.ledger.engine import Ledger, create_sqlite_file, fail_closed
from consent_service.ledger.schema import migrate
from consent_service.ledger.tables import counters, tenants
from consent_service.objects import open_store
from consent_service.proofs.protocols import KeyProvider
from consent_service.vault.sealing import NODE_FOLDER, NODE_SECRET
from consent_service.vault.vault import Vault
from foundation.private_files import locked, make_private_folder, write_private

_LOCK: Final = ".opening.lock"


def open_core(config: ConsentConfig, keys: KeyProvider | None, clock: Callable[[], float]) -> Core:
    """Raises LedgerUnavailable, VaultError (keys are missing), StorageUnavailable (the data folder can't be written) or
    KeyFileUnsafe."""
    # This process will hold keys and recordings in the clear: a crash must not write them to a disk (DESIGN I6).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _make_data_folder(config.data_dir)
    with fail_closed(), locked(config.data_dir / _LOCK):
        ledger = Ledger(config.url, busy_timeout_s=config.busy_timeout_s)
        try:
            return _open(config, ledger, keys, clock)
        except BaseException:
            ledger.close()
            raise


def _make_data_folder(folder: Path) -> None:
    """Raises StorageUnavailable when it can't be made or written, KeyFileUnsafe."""
    try:
        make_private_folder(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as exc:
        raise StorageUnavailable(f"the data folder {folder} can't be written: {exc.strerror}") from None


def _open(
    config: ConsentConfig, ledger: Ledger, keys: KeyProvider | None, clock: Callable[[], float]
) -> Core:
    keys = _keys(config, ledger) if keys is None else keys
    _node_secret(config)
    vault = Vault(open_store(config.vault_place), open_store(config.wrapped_keys_place), keys)
    if ledger.is_sqlite:
        create_sqlite_file(ledger.path)
    migrate(ledger)
    if isinstance(keys, RingProvider):
        _keep_up(keys, ledger)
    core = Core(config, ledger, keys, vault, clock)
    for place in config.clip_stores:
        stores.register(core, place, "output", None)
    return core


def _keys(config: ConsentConfig, ledger: Ledger) -> KeyProvider:
    """Open them; make them only on first use, in profile `local`."""
    place, may_make = config.keys_place, config.profile == "local"
    if config.kms is not None:
        from consent_service.keys.kms import KmsKeyProvider  # botocore: only those who need it pay

        if may_make and not _in_use(ledger):
            return KmsKeyProvider.create(place, config.kms, organisation=config.provider)
        return KmsKeyProvider(place, config.kms)
    folder = Path(place)
    if folder.exists() or not may_make:
        if folder.exists():
            FileKeyProvider.upgrade(folder)
        return FileKeyProvider(folder)
    if _in_use(ledger):
        raise VaultError("the ledger is here but its keys are not; restore the keys folder from its backup")
    return FileKeyProvider.create(folder, organisation=config.provider)


def _in_use(ledger: Ledger) -> bool:
    if ledger.is_sqlite:
        return ledger.path.exists()
    with ledger.read() as connection:
        known = inspect(connection).has_table(tenants.name)
        return known and connection.execute(select(tenants.c.tenant).limit(1)).first() is not None


def _keep_up(keys: RingProvider, ledger: Ledger) -> None:
    """What an older installation lacks."""
    if not keys.has_ring(Ring.WATERMARK):
        where_row = counters.c.name == "watermark"
        with ledger.read() as connection:
            drawn = connection.execute(select(counters.c.value).where(where_row)).scalar() or 0
        if drawn:
            raise VaultError(
                "clips carry marks, but the watermark's key is missing; restore the keys from a backup"
            )
        keys.box.write(Ring.WATERMARK.file, new_ring(keys.box, Ring.WATERMARK))


def _node_secret(config: ConsentConfig) -> None:
    """Made on first use in profile `local`; elsewhere a node without one runs no replica."""
    path = config.data_dir / NODE_FOLDER / NODE_SECRET
    if config.profile == "local" and not path.exists():
        make_private_folder(path.parent)
        write_private(path, secrets.token_bytes(32))

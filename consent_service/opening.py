"""Opening an installation: folders, keys, node secret, ledger. One process at a time; safe to repeat.

Keys come before the ledger. A ledger that is there while its keys are not is a loss, not a first use: new
keys would open nothing that was sealed, so the folder must come back from its backup.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from consent_service.config import ConsentConfig
from consent_service.core import Core
from consent_service.errors import VaultError
from consent_service.keys import FileKeyProvider
from consent_service.keys.files import locked, make_private_folder, write_private
from consent_service.ledger.engine import Ledger, create_sqlite_file, fail_closed
from consent_service.ledger.schema import migrate
from consent_service.proofs.seams import KeyProvider
from consent_service.sealing import NODE_FOLDER, NODE_SECRET
from consent_service.vault import Vault

KEYS_FOLDER: Final = "keys"
_LOCK: Final = ".opening.lock"


def open_core(config: ConsentConfig, keys: KeyProvider | None, clock: Callable[[], float]) -> Core:
    """Raises LedgerUnavailable, VaultError (keys are missing) or KeyFileUnsafe."""
    with fail_closed():
        make_private_folder(config.data_dir)
        with locked(config.data_dir / _LOCK):
            if keys is None:
                keys = _file_keys(config)
            _node_secret(config)
            vault = Vault(config.data_dir, keys)
            ledger = Ledger(config.url, busy_timeout_s=config.busy_timeout_s)
            if ledger.is_sqlite:
                create_sqlite_file(ledger.path)
            migrate(ledger)
    return Core(config, ledger, keys, vault, clock)


def _file_keys(config: ConsentConfig) -> FileKeyProvider:
    folder = config.data_dir / KEYS_FOLDER
    if folder.exists() or config.profile != "local":
        return FileKeyProvider(folder)
    if config.ledger_url is None and (config.data_dir / "ledger.sqlite3").exists():
        raise VaultError("the ledger is here but its keys are not; restore the keys folder from its backup")
    return FileKeyProvider.create(folder, organisation=config.provider)


def _node_secret(config: ConsentConfig) -> None:
    """Made on first use in profile `local`; elsewhere a node without one runs no replica."""
    path = config.data_dir / NODE_FOLDER / NODE_SECRET
    if config.profile == "local" and not path.exists():
        make_private_folder(path.parent)
        write_private(path, secrets.token_bytes(32))

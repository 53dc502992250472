"""Where the command line keeps its ledger and its keys, and in whose name it acts.

On one machine (profile `local`) the first command makes a ledger, a tenant and one key for each part that a
person plays: administrator, reviewer, narrator, auditor. They lie in `identity.json`, readable by their owner alone.
One person with all of them is fit for trying things out; where voices of real people are concerned, hand the keys to
different people and delete the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from consent_service.access import NewKey
from consent_service.config import ConsentConfig
from consent_service.errors import Conflict, Unauthenticated
from consent_service.http.config_errors import explain
from consent_service.models import Claims, Principal, Role
from consent_service.policy.purposes import PURPOSES
from consent_service.service import ConsentService
from foundation.private_files import locked, read_private, write_private
from serve_app.config import AppConfig
from vouch.output import Failed, err

TENANT: Final = "local"
GRANTEE: Final = "Local Studio"  # a name, as it is read aloud: "I know that Local Studio will use …"
ROLES: Final[dict[str, tuple[Role, ...]]] = {
    "admin": (Role.OPERATOR, Role.VOICE_ADMIN),
    "reviewer": (Role.REVIEWER,),
    "narrator": (Role.NARRATOR, Role.JOB),
    "auditor": (Role.AUDITOR,),
}


def data_dir() -> Path:
    """`VOUCH_DATA_DIR`, or `~/.vouch`."""
    return Path(os.environ.get("VOUCH_DATA_DIR") or Path.home() / ".vouch").expanduser().absolute()


def app_config() -> AppConfig:
    """`VOUCH_CONFIG` (YAML), or the embedded defaults."""
    path = os.environ.get("VOUCH_CONFIG")
    if path:
        try:
            return AppConfig.load(Path(path), data_dir())
        except (ValueError, yaml.YAMLError) as exc:
            raise Failed("config_invalid", f"{path}: {_without_values(exc)}") from None
    return AppConfig.local(data_dir())


def _without_values(exc: ValueError | yaml.YAMLError) -> str:
    """What is wrong and where, but not what was written there: it may be a database's password."""
    if isinstance(exc, ValidationError):
        return explain(exc, AppConfig)
    mark = getattr(exc, "problem_mark", None)
    return f"not YAML (line {mark.line + 1})" if mark is not None else "not YAML in UTF-8"


class LocalInstallation:
    """An open ledger and the keys to it."""

    def __init__(self, config: AppConfig, service: ConsentService, keys: dict[str, str]) -> None:
        self.config = config
        self.service = service
        self._keys = keys

    def api_key(self, part: str) -> str:
        """`VOUCH_API_KEY` if set, else the local key for this part."""
        given = os.environ.get("VOUCH_API_KEY")
        if given:
            return given
        if part not in self._keys:
            raise Failed("unauthenticated", f"set VOUCH_API_KEY to a key with the role of {part}")
        return self._keys[part]

    def act_as(self, part: str) -> Principal:
        return self.service.authenticate(self.api_key(part))

    def grantee(self) -> str:
        """In whose name whoever types here speaks."""
        return self.act_as("narrator").grantee


@contextmanager
def open_home(config: AppConfig | None = None) -> Iterator[LocalInstallation]:
    """Open the ledger of this machine; the first time, make it."""
    config = config or app_config()
    service = ConsentService.open(config.consent)
    try:
        yield LocalInstallation(config, service, _identity(config.consent, service))
    finally:
        service.close()


def _identity(config: ConsentConfig, service: ConsentService) -> dict[str, str]:
    path = config.data_dir / "identity.json"
    with locked(config.data_dir / ".identity.lock"):  # two first commands at once make one identity
        return _read_or_make(path, config, service)


def _read_or_make(path: Path, config: ConsentConfig, service: ConsentService) -> dict[str, str]:
    with suppress(FileNotFoundError):
        stored: dict[str, str] = json.loads(read_private(path))
        return stored
    if config.profile != "local" or os.environ.get("VOUCH_API_KEY"):
        return {}
    first = path.with_suffix(".first-key")
    if not first.exists():
        # Kept before it counts: whoever is interrupted between tenant and identity goes on with the same key.
        write_private(first, NewKey.mint().token.encode())
    key = read_private(first).decode()
    try:
        keys = make_identity(service, tenant=TENANT, grantee=GRANTEE, first_key=key)
    except Conflict:
        first.unlink()  # it never counted
        raise
    write_private(path, json.dumps(keys, indent=2).encode())
    first.unlink()
    err.print(f"made a ledger and its keys in {config.data_dir}", markup=False)
    return keys


def _opens(service: ConsentService, key: str) -> bool:
    """Whether this key counts. If not, the tenant is somebody else's, or there is none."""
    with suppress(Unauthenticated):
        service.authenticate(key)
        return True
    return False


def make_identity(
    service: ConsentService, *, tenant: str, grantee: str, first_key: str | None = None
) -> dict[str, str]:
    """A new tenant, and one key for each part. Raises Conflict when it exists, unless `first_key` is its own."""
    try:
        root = service.tenants.bootstrap(tenant, api_key=first_key)
    except Conflict:
        if first_key is None or not _opens(service, first_key):
            raise
        root = first_key
    by = service.authenticate(root)
    everything = Claims(
        purposes=tuple(sorted(p for p in PURPOSES if "." not in p)),
        voices=("*",),
        territories=("*",),
        channels=("*",),
    )
    keys = {"admin": root}
    for part, roles in ROLES.items():
        if part != "admin":
            keys[part] = service.tenants.create_key(
                by, grantee=grantee, roles=roles, claims=everything, label=part
            )
    return keys

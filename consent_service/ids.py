"""Identifiers: random, typed by a prefix, and safe in a path, a header and a log line."""

from __future__ import annotations

import re
import secrets
from typing import Final

from consent_service.errors import InvalidInput

ID: Final = re.compile(r"[!-~]{1,200}")  # what any id looks like: printable ASCII without spaces
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
CODE: Final = re.compile(r"[a-z0-9_.:-]{0,64}")
REPLICA: Final = re.compile(r"[A-Za-z0-9#_.:/-]{1,200}")
SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


def new_id(prefix: str) -> str:
    """`prefix_` and 128 random bits in hex."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_salt() -> bytes:
    """What makes a commitment to something short impossible to guess, until it is erased."""
    return secrets.token_bytes(32)


def require_tenant(tenant: str) -> str:
    """Raises InvalidInput. The name becomes part of paths and of the log's origin."""
    if not TENANT.fullmatch(tenant):
        raise InvalidInput("a tenant is 1-63 characters of a-z, 0-9 and -", code="tenant_invalid")
    return tenant


def require_name(value: str, what: str, limit: int = 120) -> str:
    """A printable name without line breaks. Raises InvalidInput."""
    name = value.strip()
    if not name or len(name) > limit or not name.isprintable():
        raise InvalidInput(f"{what} is 1-{limit} printable characters", code="name_invalid")
    return name

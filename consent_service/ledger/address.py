"""A database address that holds no password: it names where the password lies, and is completed where it is used.

Configuration travels: into a batch's job file, over a process border, into a repr. So a password is never part of it,
only `${NAME}` of an environment variable, or the path of a private file with the whole address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from consent_service.errors import LedgerUnavailable
from foundation.private_files import read_private

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def holds_password(url: str) -> bool:
    """Whether an address says a password in so many words."""
    try:
        parts = urlsplit(_REFERENCE.sub("", url))
        given = [parts.password, *(value for name, value in parse_qsl(parts.query) if "pass" in name.lower())]
    except ValueError:
        return True  # not an address at all; better not repeated
    return any(given)


def complete(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Put in what `${NAME}` stands for; percent-encoded, unless it is the whole address. Raises
    LedgerUnavailable."""

    def look_up(found: re.Match[str]) -> str:
        value = environment.get(found[1])
        if not value:
            raise LedgerUnavailable(
                f"ledger_url names ${{{found[1]}}}, which this process's environment lacks"
            )
        return value if found[0] == url else quote(value, safe="")

    return _REFERENCE.sub(look_up, url)


def read_address(path: Path) -> str:
    """The address in a file of mode 0600. Raises LedgerUnavailable, KeyFileUnsafe."""
    try:
        return read_private(path).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise LedgerUnavailable(
            "the file that ledger_url_file names is missing, or holds no address"
        ) from None

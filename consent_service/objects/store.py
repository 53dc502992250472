"""What a place for small objects can do, and what it says of a deletion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from consent_service.errors import StorageUnavailable

# Segments that can't climb out of the place, nor be taken for a write under way (those begin with a dot).
_NAME: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


@dataclass(frozen=True, slots=True)
class Destroyed:
    """One copy that no longer exists. `version_id` is S3's ("null" in an unversioned bucket), None for files."""

    uri: str
    kind: Literal["file", "unfinished", "version", "delete-marker"]
    version_id: str | None = None


class ObjectStore(Protocol):
    """Names are relative, "acme/voice_1/reference.sealed". Every method raises StorageUnavailable when the place
    can't be reached or refuses. Thread-safe."""

    @property
    def url(self) -> str: ...

    @property
    def base_uri(self) -> str:
        """What every URI here begins with."""
        ...

    def uri(self, name: str) -> str:
        """What `delete_every_copy` takes."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write durably: after a crash there is the old content, or all of the new."""
        ...

    def get(self, name: str) -> bytes:
        """Raises ObjectMissing."""
        ...

    def exists(self, name: str) -> bool: ...

    def probe(self) -> None:
        """Whether the place is there and can be used, by one small question. Raises StorageUnavailable."""
        ...

    def names(self, under: str = "") -> list[str]:
        """Names of what is there, in order; of one folder only with `under`. Versions that were deleted and
        writes that were cut short are not there."""
        ...

    def delete_every_copy(self, name: str, *, wipe: bool = False) -> tuple[Destroyed, ...]:
        """As the function of this name. wipe: overwrite a file before it is unlinked."""
        ...

    def forget_older(self, name: str) -> tuple[Destroyed, ...]:
        """Every copy but the one that `get` gives."""
        ...

    def delete_everything(self, under: str) -> tuple[Destroyed, ...]:
        """Every copy of everything in a folder, also of what `names` no longer shows."""
        ...


def require_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StorageUnavailable("not the name of a stored object")
    return name

"""Everything in a file that takes a native parser to see: its manifest, and its sound.

Runs in `worker`; `FileFacts` is what crosses back before the sound does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from provenance import container
from provenance.reading import ManifestReading, SigningCertificate, read_manifest
from provenance.trust import TrustContext

_TUPLES: Final = ("success", "failures")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """manifest_present: readable or not. names_us: it holds a certificate that our root issued. fault: a byte that is
    not as we write it, though no hash covers it."""

    reading: ManifestReading | None
    manifest_present: bool
    names_us: bool
    fault: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> FileFacts:
        """Raises TypeError, KeyError or ValueError."""
        reading = told["reading"]
        if reading is not None:
            leaf, parents = reading["leaf"], tuple(reading["parents"])
            lists = {name: tuple(map(str, reading[name])) for name in _TUPLES}
            reading = ManifestReading(
                **{
                    **reading,
                    **lists,
                    "leaf": None if leaf is None else SigningCertificate(**leaf),
                    "parents": parents,
                },
            )
        return cls(**{**told, "reading": reading})


def read_facts(data: bytes, sidecar: bytes | None, trust: TrustContext) -> FileFacts:
    """sidecar: a manifest that came beside the file; what is in the file is then not asked."""
    where = data if sidecar is None else sidecar
    names_us = any(trust.issued(der) for der in container.certificates(where))
    reading = read_manifest(data, trust, sidecar=sidecar)
    if reading is not None and not names_us:
        # What somebody else asserts under our label is of no use, and could be of any size.
        reading = replace(reading, assertion=None, parents=())
    return FileFacts(
        reading=reading,
        manifest_present=sidecar is not None or container.has_manifest(data),
        names_us=names_us,
        fault=container.fault(data, sidecar),
    )

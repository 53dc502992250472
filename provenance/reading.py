"""Reads the C2PA manifest of a file: what it claims, and what of that holds.

Nothing is fetched. What the manifest says is taken over only where its hash matched and its claim was signed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import c2pa

from provenance import container
from provenance.audio import WAV
from provenance.disclosure import Disclosure
from provenance.manifest import DISCLOSURE_LABEL, SYNTHETIC_SOURCES, disclosure_from
from provenance.trust import TrustContext

_TRUSTED: Final = "signingCredential.trusted"
_SIGNED: Final = "claimSignature.validated"
_ASSET: Final = "assertion.dataHash.match"
_ABOUT_SIGNER: Final = frozenset({"signingCredential.untrusted", "signingCredential.expired"})


@dataclass(frozen=True, slots=True)
class ManifestReading:
    """What c2pa found. `assertion` is ours, raw, and only where its hash is in a claim that was signed."""

    state: str  # Trusted | Valid | Invalid
    success: tuple[str, ...]
    failures: tuple[str, ...]
    says_synthetic: bool
    assertion: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def claim_signed(self) -> bool:
        return _SIGNED in self.success

    @property
    def signer_trusted(self) -> bool:
        return _TRUSTED in self.success

    @property
    def signer_expired(self) -> bool:
        return "signingCredential.expired" in self.failures

    @property
    def asset_matches(self) -> bool:
        """Every hash matched, whoever signed it."""
        return self.claim_signed and _ASSET in self.success and set(self.failures) <= _ABOUT_SIGNER

    def codes(self) -> dict[str, Any]:
        """State and validation codes, JSON-ready."""
        return {"state": self.state, "success": list(self.success), "failures": list(self.failures)}

    @property
    def disclosure(self) -> Disclosure | None:
        return disclosure_from(self.assertion)


def read_manifest(data: bytes, trust: TrustContext) -> ManifestReading | None:
    """The active manifest of a file; None where there is none, or none that can be read."""
    store = container.manifest_store(data)
    if store is None:
        return None
    try:
        with c2pa.Reader(_media_type(data), io.BytesIO(data), store, context=trust.context()) as reader:
            return _reading(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _media_type(data: bytes) -> str:
    """What c2pa shall take the file for: whatever is neither FLAC nor MP3 is a WAV with a broken header."""
    if data[:4] == b"fLaC":
        return "audio/flac"
    if data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0"):
        return "audio/mpeg"
    return WAV


def _reading(store: Mapping[str, Any]) -> ManifestReading:
    results = store["validation_results"]["activeManifest"]
    success, failures = results["success"], results["failure"]
    codes = tuple(dict.fromkeys(entry["code"] for entry in success))
    active = store["manifests"][store["active_manifest"]]
    url = f"/{DISCLOSURE_LABEL}"
    proven = (
        _SIGNED in codes
        and any(e["code"] == "assertion.hashedURI.match" and e["url"].endswith(url) for e in success)
        and not any(e.get("url", "").endswith(url) for e in failures)
    )
    bodies = [a["data"] for a in active.get("assertions", ()) if a["label"] == DISCLOSURE_LABEL]
    return ManifestReading(
        state=str(store["validation_state"]),
        success=codes,
        failures=tuple(dict.fromkeys(entry["code"] for entry in failures)),
        says_synthetic=any(source in SYNTHETIC_SOURCES for source in _sources(store)),
        assertion=bodies[0] if proven and len(bodies) == 1 else None,
    )


def _sources(store: Mapping[str, Any]) -> Iterator[str]:
    """Digital source types of every action of every manifest in the store, ingredients included."""
    for manifest in store["manifests"].values():
        for one in manifest.get("assertions", ()):
            if str(one["label"]).startswith("c2pa.actions"):
                for action in one["data"].get("actions", ()):
                    yield str(action.get("digitalSourceType", ""))

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
from cryptography import x509

from provenance import container
from provenance.disclosure import Disclosure
from provenance.formats.sniff import sniff
from provenance.ingredients import faults, read_parents
from provenance.manifest import DISCLOSURE_LABEL, SYNTHETIC_SOURCES, disclosure_from
from provenance.trust import TrustContext

OPAQUE: Final = "application/octet-stream"  # the bytes themselves, whatever they mean: what a sidecar is over
_TRUSTED: Final = "signingCredential.trusted"
_SIGNED: Final = "claimSignature.validated"
_ASSET: Final = frozenset({"assertion.dataHash.match", "assertion.bmffHash.match"})
_ABOUT_SIGNER: Final = frozenset({"signingCredential.untrusted", "signingCredential.expired"})


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """The certificate under which a claim was signed, where our root issued it. Unix seconds, both included."""

    not_before: float
    not_after: float

    def valid_at(self, unix: float) -> bool:
        return self.not_before <= unix <= self.not_after


@dataclass(frozen=True, slots=True)
class ManifestReading:
    """What c2pa found. `assertion` is ours, raw, and only where its hash is in a claim that was signed."""

    state: str  # Trusted | Valid | Invalid
    success: tuple[str, ...]
    failures: tuple[str, ...]
    says_synthetic: bool
    assertion: Mapping[str, Any] | None = field(default=None, repr=False)
    leaf: SigningCertificate | None = None
    parents: tuple[Mapping[str, Any], ...] = field(
        default=(), repr=False
    )  # our assertions in what it was made from in the end

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
        return self.claim_signed and bool(_ASSET & set(self.success)) and set(self.failures) <= _ABOUT_SIGNER

    def codes(self) -> dict[str, Any]:
        """State and validation codes, JSON-ready."""
        return {"state": self.state, "success": list(self.success), "failures": list(self.failures)}

    @property
    def disclosure(self) -> Disclosure | None:
        return disclosure_from(self.assertion)


def read_manifest(
    data: bytes, trust: TrustContext, *, media_type: str | None = None, sidecar: bytes | None = None
) -> ManifestReading | None:
    """The active manifest of a file; None where there is none, or none that can be read.

    media_type: where the caller made the file and knows it. sidecar: a detached manifest over `data`.
    """
    where = data if sidecar is None else sidecar
    store = container.manifest_store(where)
    if store is None:
        return None
    kind = OPAQUE if sidecar is not None else media_type or _media_type(data)
    try:
        with c2pa.Reader(kind, io.BytesIO(data), store, context=trust.context()) as reader:
            told = json.loads(reader.json())
        return _reading(told, _leaf(told, where, trust))
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError):
        return None


def validation(data: bytes, sidecar: bytes, trust: TrustContext) -> Mapping[str, Any]:
    """How a detached manifest of ours holds, as C2PA keeps it with an ingredient. Raises C2paError or KeyError."""
    with c2pa.Reader(OPAQUE, io.BytesIO(data), sidecar, context=trust.context()) as reader:
        told = json.loads(reader.json())
    return {name: told[name] for name in ("active_manifest", "validation_results")}


def _media_type(data: bytes) -> str:
    """What c2pa shall take the file for: whatever is none of the others is a WAV with a broken header."""
    form = sniff(data)
    return "audio/wav" if form is None else form.media_type


def _leaf(told: Mapping[str, Any], where: bytes, trust: TrustContext) -> SigningCertificate | None:
    """By its serial number: a store may hold the certificates of several claims."""
    serial = str(told["manifests"][told["active_manifest"]]["signature_info"].get("cert_serial_number"))
    for der in container.certificates(where):
        if trust.issued(der):
            one = x509.load_der_x509_certificate(der)
            if str(one.serial_number) == serial:
                return SigningCertificate(
                    one.not_valid_before_utc.timestamp(), one.not_valid_after_utc.timestamp()
                )
    return None


def _reading(store: Mapping[str, Any], leaf: SigningCertificate | None) -> ManifestReading:
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
    broken = [entry["code"] for entry in failures]
    if proven:
        broken += faults(store)
    bodies = [a["data"] for a in active.get("assertions", ()) if a["label"] == DISCLOSURE_LABEL]
    return ManifestReading(
        state=str(store["validation_state"]),
        success=codes,
        failures=tuple(dict.fromkeys(broken)),
        says_synthetic=any(source in SYNTHETIC_SOURCES for source in _sources(store)),
        assertion=bodies[0] if proven and len(bodies) == 1 else None,
        leaf=leaf,
        parents=read_parents(store) if proven else (),
    )


def _sources(store: Mapping[str, Any]) -> Iterator[str]:
    """Digital source types of every action of every manifest in the store, ingredients included."""
    for manifest in store["manifests"].values():
        for one in manifest.get("assertions", ()):
            if str(one["label"]).startswith("c2pa.actions"):
                for action in one["data"].get("actions", ()):
                    yield str(action.get("digitalSourceType", ""))

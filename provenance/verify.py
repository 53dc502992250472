"""Whose clip is this, is it unaltered, and does its consent still stand?

Evidence is weighed in this order, and weaker evidence never outranks stronger: a claim signed under our root;
a certificate of ours whose signature no longer verifies; a foreign manifest; the presence mark, which anyone
can embed and which therefore never says "ours". The register, where one can be asked, covers every byte.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from consent_service.proofs.seams import ProofReader, Standing
from provenance import container
from provenance.audio import Limits, check_size, decode
from provenance.disclosure import Disclosure
from provenance.errors import AudioUnreadable
from provenance.presence import PRESENT, PresenceMark
from provenance.reading import ManifestReading, read_manifest
from provenance.trust import TrustContext
from provenance.verdict import Integrity, Origin, Verdict

__all__ = ["Integrity", "Origin", "Verdict", "Verifier"]


@dataclass(frozen=True, slots=True)
class _Findings:
    """All that was found in a file, before anything is concluded."""

    sha256: str
    reading: ManifestReading | None
    manifest_present: bool  # readable or not
    names_us: bool  # holds a certificate that our root issued
    fault: str | None  # a byte that is not as we write it, though no hash covers it
    presence: float | None  # None: not decodable
    registered: bool | None = None  # ProofReader.knows_clip

    @property
    def disclosure(self) -> Disclosure | None:
        """What we signed of this clip; None unless the signature holds under our root."""
        if self.reading is None or not (self.signed_by_us or self.signed_by_our_expired_leaf):
            return None
        return self.reading.disclosure

    @property
    def signed_by_us(self) -> bool:
        return self.reading is not None and self.reading.claim_signed and self.reading.signer_trusted

    @property
    def signed_by_our_expired_leaf(self) -> bool:
        # c2pa calls an expired signer untrusted without looking further; whose it was, `names_us` knows.
        found = self.reading
        return found is not None and found.claim_signed and found.signer_expired and self.names_us

    @property
    def carries_mark(self) -> bool:
        return self.presence is not None and self.presence >= PRESENT


class Verifier:
    """Looks at clips against one trust anchor (our C2PA root, PEM). Thread-safe.

    reader: the ledger, or an exported bundle; None verifies by signature alone. What the reader cannot answer
    is UNKNOWN, never "live".
    """

    def __init__(
        self,
        trust_anchor: bytes,
        reader: ProofReader | None = None,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trust = TrustContext(trust_anchor)
        self._reader = reader
        self._limits = limits or Limits()
        self._clock = clock
        self._presence = PresenceMark()

    def verify(self, data: bytes) -> Verdict:
        """The verdict on one complete file. Raises AudioTooLarge or AudioUnreadable."""
        check_size(data, self._limits)
        found = self._look_at(data)
        standing, as_of = self._standing(found.disclosure)
        return Verdict(_origin(found), _integrity(found), standing, as_of, _evidence(found))

    def _look_at(self, data: bytes) -> _Findings:
        reading = read_manifest(data, self._trust)
        sha256 = hashlib.sha256(data).hexdigest()
        found = _Findings(
            sha256=sha256,
            reading=reading,
            manifest_present=reading is not None or container.has_manifest(data),
            names_us=any(self._trust.issued(der) for der in container.certificates(data)),
            fault=container.fault(data),
            presence=None,
        )
        presence = self._presence_score(data, required=not found.manifest_present)
        return _Findings(
            sha256,
            reading,
            found.manifest_present,
            found.names_us,
            found.fault,
            presence,
            self._registered(found),
        )

    def _presence_score(self, data: bytes, *, required: bool) -> float | None:
        try:
            recording = decode(data, self._limits)
        except AudioUnreadable:
            if required:
                raise
            return None  # the manifest speaks for itself: a clip of ours with a broken header is "altered"
        return self._presence.detect(recording.samples, recording.sample_rate)

    def _registered(self, found: _Findings) -> bool | None:
        disclosure = found.disclosure
        if self._reader is None or disclosure is None:
            return None
        try:
            return self._reader.knows_clip(disclosure.clip_id, found.sha256)
        except Exception:  # noqa: BLE001 - an unreachable ledger leaves the question open, whatever it raised
            return None

    def _standing(self, disclosure: Disclosure | None) -> tuple[Standing, float]:
        if self._reader is None or disclosure is None:
            return Standing.UNKNOWN, self._clock()
        try:
            return self._reader.standing(
                disclosure.clip_id, disclosure.consent_id, disclosure.consent_version
            )
        except Exception:  # noqa: BLE001 - as above: unknown, never "live"
            return Standing.UNKNOWN, self._clock()


def _origin(found: _Findings) -> Origin:
    if found.signed_by_us:
        return Origin.OURS
    if found.signed_by_our_expired_leaf:
        # No trusted time says that it was signed before the leaf expired; the register's entry does.
        return Origin.OURS if found.registered else Origin.OUR_MARK
    if found.names_us:
        return Origin.OUR_MARK
    if found.carries_mark or (found.reading is not None and found.reading.says_synthetic):
        return Origin.SYNTHETIC
    return Origin.NO_MARK


def _integrity(found: _Findings) -> Integrity:
    if not found.manifest_present:
        return Integrity.STRIPPED if found.carries_mark else Integrity.UNVERIFIABLE
    if found.reading is None or not found.reading.asset_matches:
        return Integrity.ALTERED
    if not (found.signed_by_us or found.signed_by_our_expired_leaf):
        # Anyone may alter a clip and sign it anew: a signature that we do not trust vouches for nothing.
        return Integrity.UNVERIFIABLE
    covered = found.fault is None and found.registered is not False
    return Integrity.INTACT if covered else Integrity.ALTERED


def _evidence(found: _Findings) -> dict[str, Any]:
    reading = found.reading
    evidence: dict[str, Any] = {
        "sha256": found.sha256,
        "presence": None if found.presence is None else round(found.presence, 3),
        "register_match": found.registered,
        "manifest": None
        if reading is None
        else {"state": reading.state, "success": list(reading.success), "failures": list(reading.failures)},
        "container_fault": found.fault if found.manifest_present else None,
    }
    if found.disclosure is not None:
        evidence["disclosure"] = asdict(found.disclosure)
    return evidence

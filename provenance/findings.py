"""What was found in a file, and what follows from it: the rules of the verdict, without any reading.

Weaker evidence never outranks stronger. In order: a claim signed under our root; a certificate of ours whose
signature no longer holds; a foreign manifest; the presence mark, which anyone can embed and which therefore
never says "ours". The register, where one can be asked, covers every byte.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from provenance.disclosure import Disclosure
from provenance.presence import PRESENT
from provenance.reading import ManifestReading
from provenance.verdict import Integrity, Origin


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was looked at in one file, before anything is concluded."""

    sha256: str
    reading: ManifestReading | None
    manifest_present: bool  # readable or not
    names_us: bool  # holds a certificate that our root issued
    fault: str | None  # a byte that is not as we write it, though no hash covers it
    presence: float | None  # None: not decodable
    registered: bool | None = None  # ProofReader.knows_clip

    @property
    def signed_by_us(self) -> bool:
        return self.reading is not None and self.reading.claim_signed and self.reading.signer_trusted

    @property
    def signed_by_our_expired_leaf(self) -> bool:
        # c2pa calls an expired signer untrusted without looking further; whose it was, `names_us` knows.
        found = self.reading
        return found is not None and found.claim_signed and found.signer_expired and self.names_us

    @property
    def disclosure(self) -> Disclosure | None:
        """What we signed of this clip; None unless the signature holds under our root."""
        if self.reading is None or not (self.signed_by_us or self.signed_by_our_expired_leaf):
            return None
        return self.reading.disclosure

    @property
    def carries_mark(self) -> bool:
        return self.presence is not None and self.presence >= PRESENT

    @property
    def origin(self) -> Origin:
        if self.reading is not None and self.signed_by_us and self.reading.asset_matches:
            # Signature and sound together: a manifest of ours can be copied onto anybody's recording.
            return Origin.OURS
        if self.signed_by_our_expired_leaf and self.registered:
            # No trusted time says that it was signed before the leaf expired; the register's entry does.
            return Origin.OURS
        if self.names_us:
            return Origin.OUR_MARK
        if self.carries_mark or (self.reading is not None and self.reading.says_synthetic):
            return Origin.SYNTHETIC
        return Origin.NO_MARK

    @property
    def integrity(self) -> Integrity:
        if not self.manifest_present:
            return Integrity.STRIPPED if self.carries_mark else Integrity.UNVERIFIABLE
        if self.reading is None:
            return Integrity.ALTERED if self.names_us else Integrity.UNVERIFIABLE
        if not self.reading.asset_matches:
            return Integrity.ALTERED
        if not (self.signed_by_us or self.signed_by_our_expired_leaf):
            # Anyone may alter a clip and sign it anew: a signature that we do not trust vouches for nothing.
            return Integrity.UNVERIFIABLE
        covered = self.fault is None and self.registered is not False
        return Integrity.INTACT if covered else Integrity.ALTERED

    @property
    def evidence(self) -> dict[str, Any]:
        """JSON-ready, for callers with rights."""
        evidence: dict[str, Any] = {
            "sha256": self.sha256,
            "presence": None if self.presence is None else round(self.presence, 3),
            "register_match": self.registered,
            "manifest": None if self.reading is None else self.reading.codes(),
            "container_fault": self.fault if self.manifest_present else None,
        }
        if self.disclosure is not None:
            evidence["disclosure"] = asdict(self.disclosure)
        return evidence

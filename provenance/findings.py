"""What was found in a file, and what follows from it: the rules of the verdict, without any reading.

Weaker evidence never outranks stronger. In order: a claim signed under our root; a certificate of ours whose
signature no longer holds; our keyed mark; a foreign manifest; the presence mark, which anyone can embed and which
therefore never says "ours". The keyed mark alone doesn't either: averaged out of many clips it can be laid on real
speech, so the clip that its tag names must also sound like this one. The register, where one can be asked, covers
every byte.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from provenance.disclosure import Disclosure
from provenance.fingerprint import MATCHES
from provenance.ingredients import disclosures
from provenance.presence import PRESENT
from provenance.reading import ManifestReading
from provenance.verdict import Integrity, Note, Origin, Verdict


@dataclass(frozen=True, slots=True)
class KeyedMark:
    """The tag that a recording carries, the clip that was allotted it, and how alike the two sound (0…1)."""

    mark: WatermarkTag
    evidence: float
    candidate: ClipRecord | None
    alike: float

    @property
    def confirmed(self) -> bool:
        return self.candidate is not None and self.alike >= MATCHES


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
    logged_at: float | None = None  # ProofReader.logged_at, asked where the leaf has expired
    keyed: KeyedMark | None = None

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
    def ours_by_signature(self) -> bool:
        if self.reading is not None and self.signed_by_us and self.reading.asset_matches:
            # Signature and sound together: a manifest of ours can be copied onto anybody's recording.
            return True
        # No trusted time stamp says that it was signed before the leaf expired; the log or the register does.
        return self.signed_by_our_expired_leaf and (self.signed_in_time or bool(self.registered))

    @property
    def signed_in_time(self) -> bool:
        """The leaf has expired, and the log held this very file's digest while it was valid."""
        found, at = self.reading, self.logged_at
        return (
            found is not None
            and found.asset_matches
            and self.signed_by_our_expired_leaf
            and at is not None
            and found.leaf is not None
            and found.leaf.valid_at(at)
        )

    @property
    def ours_by_sound(self) -> ClipRecord | None:
        """The clip of ours that this is, whatever became of its metadata."""
        return self.keyed.candidate if self.keyed is not None and self.keyed.confirmed else None

    @property
    def named(self) -> tuple[str, str | None, int | None] | None:
        """Clip, consent and version, as far as what names them was confirmed: asked of the register."""
        said = self.disclosure
        if said is not None and self.registered is not None and self.ours_by_signature:
            return said.clip_id, said.consent_id, said.consent_version
        clip = self.ours_by_sound
        return None if clip is None else (clip.clip_id, clip.consent_id, clip.consent_version)

    @property
    def parents(self) -> tuple[Disclosure, ...]:
        """What we signed of the clips that the file was made from in the end, whatever lay between; none unless we
        signed the file too."""
        if self.reading is None or not self.ours_by_signature:
            return ()
        return disclosures(self.reading.parents)

    @property
    def all_named(self) -> tuple[tuple[str, str | None, int | None], ...]:
        """Every clip whose consent the file rests on: itself, or each of those that it was made from."""
        if self.parents:
            return tuple((one.clip_id, one.consent_id, one.consent_version) for one in self.parents)
        return () if self.named is None else (self.named,)

    @property
    def names(self) -> tuple[str, ...]:
        """Every clip of ours that the evidence speaks of: of a file that was made from clips, those. Its own id may be
        in no register, so that nobody could ever be shown to have a right to it."""
        candidate = None if self.keyed is None else self.keyed.candidate
        named = (candidate, *self.parents) if self.parents else (self.disclosure, candidate)
        return tuple(dict.fromkeys(clip.clip_id for clip in named if clip is not None))

    @property
    def carries_mark(self) -> bool:
        return self.keyed is not None or (self.presence is not None and self.presence >= PRESENT)

    @property
    def origin(self) -> Origin:
        if self.ours_by_signature or self.ours_by_sound is not None:
            return Origin.OURS
        if self.names_us or self.keyed is not None:
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
    def notes(self) -> tuple[Note, ...]:
        noted = [Note.DERIVED] if self.parents else []
        if self.signed_by_our_expired_leaf:
            noted.append(Note.SIGNED_IN_TIME if self.signed_in_time else Note.TIME_UNPROVEN)
        return tuple(noted)

    def verdict(self, standing: Standing, as_of: float) -> Verdict:
        """For a caller with rights; what anyone else is told rests on nothing that takes our keys or our ledger."""
        bare = replace(self, keyed=None, registered=None, logged_at=None)
        return Verdict(
            self.origin,
            self.integrity,
            standing,
            as_of,
            self.notes,
            self.evidence,
            self.names,
            anyone=Verdict(bare.origin, bare.integrity, None, None, bare.notes),
        )

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
        if self.keyed is not None:
            evidence["keyed_mark"] = {
                "epoch": self.keyed.mark.epoch,
                "tag": self.keyed.mark.tag,
                "evidence": round(self.keyed.evidence, 1),
                "clip_id": None if self.keyed.candidate is None else self.keyed.candidate.clip_id,
                "fingerprint_match": round(self.keyed.alike, 3),
            }
        if self.disclosure is not None:
            evidence["disclosure"] = asdict(self.disclosure)
        if self.parents:
            evidence["made_from"] = [asdict(one) for one in self.parents]
        if self.signed_by_our_expired_leaf and self.reading is not None and self.reading.leaf is not None:
            evidence["expired_leaf"] = {**asdict(self.reading.leaf), "logged_at": self.logged_at}
        return evidence

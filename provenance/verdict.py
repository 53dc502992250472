"""The verdict on a clip: three separate answers, and one sentence in plain words.

"No mark found" never means "a real person": a mark can be removed, and most generators put none in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from consent_service.proofs.records import Standing


class Origin(StrEnum):
    """Where a clip comes from, as far as can be shown."""

    OURS = "ours"
    OUR_MARK = "our mark, unconfirmed"
    SYNTHETIC = "synthetic, not ours"
    NO_MARK = "no mark found"


class Integrity(StrEnum):
    """Whether it is what was signed."""

    INTACT = "intact"
    ALTERED = "altered"
    STRIPPED = "metadata stripped"
    UNVERIFIABLE = "not verifiable"  # nothing signed by anyone we trust to compare with


class Note(StrEnum):
    """A stable code for what qualifies an answer."""

    DERIVED = "derived"
    SIGNED_IN_TIME = "signed_in_time"
    TIME_UNPROVEN = "signing_time_unproven"


_ORIGIN_WORDS: Final = {
    Origin.OURS: "We made this clip",
    Origin.OUR_MARK: "This clip carries a signature or a mark of ours, but that could not be confirmed",
    Origin.SYNTHETIC: "This clip is marked as synthetic, but nothing in it shows that it is ours",
    Origin.NO_MARK: "We found no mark in this clip, which does not mean that a real person is speaking",
}
_INTEGRITY_WORDS: Final = {
    Integrity.INTACT: "its bytes are the ones that were signed",
    Integrity.ALTERED: "it is not the file that was signed",
    Integrity.STRIPPED: "it carries no signed metadata; if it ever did, that was stripped",
    Integrity.UNVERIFIABLE: "whether it was altered cannot be told",
}
_STANDING_WORDS: Final = {
    Standing.LIVE: "the consent behind it stands",
    Standing.EXPIRED: "the consent behind it has expired since",
    Standing.WITHDRAWN: "the consent behind it has been withdrawn since",
    Standing.DECOMMISSIONED: "its voice has been decommissioned",
    Standing.NOT_REQUIRED: "no consent was required for its voice",
    Standing.UNKNOWN: "how its consent stands is not known here",
}
_NOTE_WORDS: Final = {
    Note.DERIVED: "it was made from other clips of ours",
    Note.SIGNED_IN_TIME: "its certificate has expired since, but the log shows that it was signed before that",
    Note.TIME_UNPROVEN: "its certificate has expired, and nothing here proves that it was signed before that",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`standing` and `as_of` (Unix seconds) are None in a public verdict; `evidence` is JSON-ready."""

    origin: Origin
    integrity: Integrity
    standing: Standing | None
    as_of: float | None
    notes: tuple[Note, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[
        str, ...
    ] = ()  # the clips of ours that it speaks of: whoever is shown it must be allowed to see all
    anyone: Verdict | None = field(
        default=None, repr=False
    )  # what the file alone tells, without keys or ledger

    @property
    def sentence(self) -> str:
        """The answers in plain words."""
        parts = (
            _ORIGIN_WORDS[self.origin],
            _INTEGRITY_WORDS[self.integrity],
            *map(_NOTE_WORDS.get, self.notes),
        )
        words = "; ".join(str(part) for part in parts)
        if self.standing is not None and self.origin in (Origin.OURS, Origin.OUR_MARK):
            words += f"; {_STANDING_WORDS[self.standing]}"
            if self.as_of is not None:
                words += f" (as of {_utc(self.as_of)})"
        return words + "."

    def public(self) -> Verdict:
        """What anyone may know: origin and integrity as the file alone tells them, without standing, identifiers or
        scores. A keyed mark is not spoken of: whoever could ask whether it is still there could take it out."""
        return self.anyone or replace(self, standing=None, as_of=None, evidence={}, names=())

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready object; a public verdict leaves standing, as_of and evidence out."""
        answer: dict[str, Any] = {"origin": self.origin.value, "integrity": self.integrity.value}
        if self.standing is not None and self.as_of is not None:
            answer |= {"standing": self.standing.value, "as_of": _utc(self.as_of)}
        if self.notes:
            answer["notes"] = [note.value for note in self.notes]
        if self.evidence:
            answer["evidence"] = dict(self.evidence)
        return {**answer, "sentence": self.sentence}


def _utc(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")

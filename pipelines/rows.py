"""One row on its way: as written, as checked, under a grant, as finished."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import rfc8785

from consent_service.grants import Utterance
from consent_service.models import Allow, SpeechClaim
from pipelines.schema import DECIDED, RESULT
from speech.errors import TextError
from speech.text import MAX_CHARACTERS, prepare
from synthesis.request import speech_claim
from synthesis.voice import parse_voice

Status = Literal["ok", "refused", "error"]

# What a row says of itself until there is a clip.
NOT_FINISHED: Final[dict[str, Any]] = {
    "status": "error",
    "code": "not_finished",
    "message": "not synthesised; run again",
}
_RESULT_FIELDS: Final = tuple(RESULT.names)


@dataclass(frozen=True, slots=True)
class ScriptRow:
    """A row of the script as it was written; any field but the id may still be missing or wrong."""

    id: str
    text: str | None = field(repr=False)
    language: str | None
    voice: str | None
    purpose: str | None = None
    instruct: str | None = field(default=None, repr=False)
    seed: int | None = None

    def utterance(
        self, *, lexicon: Mapping[str, str] | None = None, max_characters: int = MAX_CHARACTERS
    ) -> Utterance:
        """What is to be said: canonical, respelled, numbers in words.

        Raises TextError; text_empty, language_empty and voice_empty are also for nulls.
        """
        if not self.text:
            raise TextError("the row has no text", code="text_empty")
        if not self.language:
            raise TextError("the row has no language", code="language_empty")
        if not self.voice:
            raise TextError("the row has no voice", code="voice_empty")
        return prepare(
            self.text, self.language, self.instruct or "", lexicon=lexicon, max_characters=max_characters
        )

    def digest(self, model: str, purpose: str | None) -> str:
        """SHA-256 in hex over everything that decides what is said, and by which model. The id is not in it.

        purpose: the row's, or the run's where the row names none.
        """
        body = asdict(self) | {"purpose": purpose, "model": model, "v": 1}
        del body["id"]
        # A seed is an int64, wider than a JSON number.
        body["seed"] = None if self.seed is None else str(self.seed)
        return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row: a field for each column of RESULT, by name."""

    id: str
    status: Status
    code: str | None
    message: str | None
    row_digest: str
    language: str | None = None
    voice: str | None = None
    purpose: str | None = None
    characters: int | None = None
    clip_id: str | None = None
    clip_uri: str | None = None
    audio_sha256: str | None = None
    seconds: float | None = None
    consent_id: str | None = None
    consent_version: int | None = None
    audit_leaf: int | None = None

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> RowResult:
        return cls(**{name: record[name] for name in _RESULT_FIELDS})

    def record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _RESULT_FIELDS}

    @property
    def has_clip(self) -> bool:
        """Whether a clip was made. True also for a row whose gate could not be asked on a re-run: its clip is
        not offered (no URI) until the gate has said that its consent stands."""
        return self.clip_id is not None and self.audio_sha256 is not None

    def fail(self, status: Status, code: str, message: str) -> RowResult:
        return replace(self, status=status, code=code, message=message)

    def with_clip_of(self, done: RowResult) -> RowResult:
        """This row, remembering the clip that an earlier run made of it, without offering it."""
        names = ("clip_id", "audio_sha256", "seconds", "consent_id", "consent_version", "audit_leaf")
        return replace(self, **{name: getattr(done, name) for name in names})


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row whose own fields are good: what is to be said. `result`: its columns, status "error" until there is a
    clip; its voice and purpose are what the gate is asked for."""

    utterance: Utterance
    seed: int
    result: RowResult

    def claim(self) -> SpeechClaim:
        assert self.result.voice is not None  # noqa: S101 — checked; for the type checker
        return speech_claim(parse_voice(self.result.voice), self.utterance, purpose=self.result.purpose)

    def granted(self, allow: Allow) -> GrantedRow:
        """Under a grant, the first or a newer one."""
        grant = allow.grant
        result = replace(
            self.result,
            purpose=grant.purpose,
            consent_id=grant.consent_id,
            consent_version=grant.consent_version,
        )
        return GrantedRow(replace(self, result=result), allow.token, grant.start_by)


@dataclass(frozen=True, slots=True)
class GrantedRow:
    """A row that may be spoken, and the grant that says so. `start_by`: Unix seconds, of the grant."""

    checked: CheckedRow
    token: str = field(repr=False)
    start_by: float

    @property
    def result(self) -> RowResult:
        return self.checked.result

    def record(self) -> dict[str, Any]:
        return {
            **self.result.record(),
            "status": None,
            "said_text": self.checked.utterance.text,
            "said_instruct": self.checked.utterance.instruct,
            "seed": self.checked.seed,
            "grant": self.token,
            "start_by": self.start_by,
        }


def decided_from(record: dict[str, Any]) -> RowResult | GrantedRow:
    """A record of DECIDED, back as a value."""
    if record["status"] is not None:
        return RowResult.from_record(record)
    pending = RowResult.from_record(record | NOT_FINISHED)
    utterance = Utterance(record["said_text"], record["language"], record["said_instruct"] or "")
    return GrantedRow(CheckedRow(utterance, record["seed"], pending), record["grant"], record["start_by"])


def decided_record(decided: RowResult | GrantedRow) -> dict[str, Any]:
    """A value as a record of DECIDED."""
    return {**dict.fromkeys(DECIDED.names), **decided.record()}

"""One row on its way: as written, as decided, as finished."""

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

Status = Literal["ok", "refused", "error"]

PRESET: Final = "preset:"
DESIGN: Final = "design"
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
    """What became of one row; the columns of RESULT, in order."""

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

    def with_clip_of(self, done: RowResult) -> RowResult:
        """This row, remembering the clip that an earlier run made of it, without offering it."""
        names = ("clip_id", "audio_sha256", "seconds", "consent_id", "consent_version", "audit_leaf")
        return replace(self, **{name: getattr(done, name) for name in names})


@dataclass(frozen=True, slots=True)
class Ready:
    """A row that may be spoken: what, in whose voice, and the grant that says so. `result`: its columns."""

    utterance: Utterance
    voice: str
    purpose: str | None
    seed: int
    grant: str = field(repr=False)
    start_by: float  # Unix seconds, of the grant
    result: RowResult  # status "error" until there is a clip

    def claim(self) -> SpeechClaim:
        return claim_for(self.utterance, self.voice, self.purpose)

    def saying(self, utterance: Utterance) -> Ready:
        result = replace(self.result, language=utterance.language, characters=utterance.characters)
        return replace(self, utterance=utterance, result=result)

    def granted(self, allow: Allow) -> Ready:
        """Under a grant, the first or a newer one."""
        grant = allow.grant
        result = replace(
            self.result,
            purpose=grant.purpose,
            consent_id=grant.consent_id,
            consent_version=grant.consent_version,
        )
        return replace(self, grant=allow.token, start_by=grant.start_by, result=result)

    def fail(self, status: Status, code: str, message: str) -> RowResult:
        return replace(self.result, status=status, code=code, message=message)

    def record(self) -> dict[str, Any]:
        return {
            **self.result.record(),
            "status": None,
            "said_text": self.utterance.text,
            "said_instruct": self.utterance.instruct,
            "seed": self.seed,
            "grant": self.grant,
            "start_by": self.start_by,
        }


def claim_for(utterance: Utterance, voice: str, purpose: str | None) -> SpeechClaim:
    """What the gate is asked for a row."""
    mode: Literal["clone", "custom", "design"] = "clone"
    voice_id = voice
    if voice.startswith(PRESET):
        mode, voice_id = "custom", voice.removeprefix(PRESET)
    elif voice == DESIGN:
        mode, voice_id = "design", ""
    return SpeechClaim(
        mode=mode,
        voice_id=voice_id,
        language=utterance.language,
        said_digest=utterance.digest(),
        characters=utterance.characters,
        purpose=purpose,
    )


def decided_from(record: dict[str, Any]) -> RowResult | Ready:
    """A record of DECIDED, back as a value."""
    if record["status"] is not None:
        return RowResult.from_record(record)
    pending = RowResult.from_record(
        {**record, "status": "error", "code": "not_finished", "message": "not synthesised; run again"}
    )
    return Ready(
        utterance=Utterance(record["said_text"], record["language"], record["said_instruct"] or ""),
        voice=record["voice"],
        purpose=record["purpose"],
        seed=record["seed"],
        grant=record["grant"],
        start_by=record["start_by"],
        result=pending,
    )


def decided_record(decided: RowResult | Ready) -> dict[str, Any]:
    """A value as a record of DECIDED."""
    return {**dict.fromkeys(DECIDED.names), **decided.record()}

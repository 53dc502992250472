"""What comes in over HTTP, and what goes out where a value of the service is not JSON as it is. Unknown fields are
refused, so that nobody believes they had an effect."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, StringConstraints

from consent_service.grants import Grant
from consent_service.models import (
    Allow,
    Claims,
    Closing,
    Consent,
    ConsentTerms,
    Deny,
    EnrolmentAnswer,
    Narrowing,
    Redeemed,
    Role,
    SpeechClaim,
    Voice,
)
from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag

Short = Annotated[str, StringConstraints(max_length=200)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:-]+$")]
Language = Annotated[str, StringConstraints(min_length=1, max_length=32)]
Note = Annotated[str, StringConstraints(max_length=500)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Transcript = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Encoded = Annotated[Base64Bytes, Field(strict=False)]


class Body(BaseModel):
    # Strict: "false" is not False, where what follows cannot be undone.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Answer(BaseModel):
    """Bytes go out as they come in: base64 of RFC 4648 §4."""


def base64_of(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


# keys
class ClaimsBody(Body):
    """What the holder of a key may claim. `voices`: ids, `preset:NAME`, `preset:*`, `design` or `*`."""

    purposes: list[Short] = []
    voices: list[Short] = []
    territories: list[Short] = []
    channels: list[Short] = []

    def to_claims(self) -> Claims:
        return Claims(tuple(self.purposes), tuple(self.voices), tuple(self.territories), tuple(self.channels))


class NewKeyBody(Body):
    grantee: Short = Field(
        description="The organisation or team that holds it; consents are given to grantees."
    )
    roles: list[Annotated[Role, Field(strict=False)]] = Field(
        min_length=1, description="Any but `subject`, who signs in."
    )
    claims: ClaimsBody = ClaimsBody()
    label: Short = Field(default="", description="For your own records.")
    expires_at: float | None = Field(default=None, description="Unix seconds; none: it does not expire.")


class KeyMade(Answer):
    key_id: str
    api_key: str = Field(description="Shown this once.", repr=False)


class BindBody(Body):
    consent_id: Short = Field(description="Becomes the key's default for the consent's voice.")


# voices
class BeginEnrolmentBody(Body):
    name: Name = Field(description="What to call the voice.")
    language: Language = Field(description="ISO 639-1, one of the ten.")
    grantee: Name = Field(description="Who will be allowed to use it; part of the sentence.")
    purpose: Name = Field(description="For what; part of the sentence.")
    subject_name: Name = Field(repr=False, description="Whose voice it is; part of the sentence.")
    contact: Short = Field(
        default="", repr=False, description="The person's e-mail address, which a link then confirms."
    )


class CompleteEnrolmentBody(Body):
    """Both recordings, encoded audio files, in base64."""

    reference: Encoded = Field(repr=False, description="3 to 60 s of the voice.")
    statement: Encoded = Field(repr=False, description="The challenge sentence, read aloud.")
    transcript: Transcript = Field(repr=False, description="What is said in the reference.")
    note: Note = Field(default="", description="Goes into the evidence.")

    def to_answer(self) -> EnrolmentAnswer:
        return EnrolmentAnswer(self.reference, self.transcript, self.statement, self.note)


class BeginStatementBody(Body):
    """For a grantee or purpose that the enrolment does not cover."""

    grantee: Name
    purpose: Name


class CompleteStatementBody(Body):
    """The recorded statement, an encoded audio file, in base64."""

    statement: Encoded = Field(repr=False)
    note: Note = ""


class StatementAnswer(Answer):
    statement_id: str
    counts: bool = Field(description="False: it waits for a reviewer.")


class DoubtsAnswer(Answer):
    doubts: list[str] = Field(description="Stable codes; empty before both recordings came.")


class ReviewBody(Body):
    approve: bool
    note: Note = ""


class KeepDesignBody(Body):
    """Keep the voice of a clip that a one-off design made."""

    name: Name
    language: Language
    transcript: Transcript = Field(repr=False)
    clip_id: Id = Field(description="A registered clip of basis `design`.")
    reference: Encoded | None = Field(
        default=None,
        repr=False,
        description="The clip, unaltered, in base64. Omitted: the copy that this service keeps.",
    )


class ReasonBody(Body):
    reason: Words = Field(description="Kept beside the object; the log holds a commitment to it.")


class RetentionBody(Body):
    until: float | None = Field(description="Unix seconds; none: after the configured period.")


class SweepBody(Body):
    confirm: bool = Field(default=False, description="False only lists what would go.")


class ContactBody(Body):
    contact: Short = Field(repr=False, description="An e-mail address.")


class VoicesAnswer(Answer):
    voices: list[Voice] = Field(description="Those that the key may see, oldest first.")
    presets: list[str] = Field(
        description="The preset speakers, for /v1/custom-voice; no person's consent is needed."
    )


# consents
class TermsBody(Body):
    voice_id: Id
    grantee: Name
    purposes: list[Name] = Field(min_length=1, description="Known terms; each covers those below it.")
    languages: list[Name] = Field(min_length=1, description='ISO 639-1, or "*".')
    valid_from: float = Field(description="Unix seconds.")
    valid_until: float = Field(description="Unix seconds; at most ten years after valid_from.")
    territories: list[Name] = Field(default=["*"], min_length=1, description='ISO 3166-1 alpha-2, or "*".')
    channels: list[Name] = Field(default=["*"], min_length=1)
    outside_boundary: bool = Field(
        default=False, description="May the voice be processed outside the organisation's own machines?"
    )
    character_budget: int | None = Field(
        default=None, ge=1, description="Characters that may be spoken under it, in all. Omitted: no limit."
    )

    def to_terms(self) -> ConsentTerms:
        return ConsentTerms(
            grantee=self.grantee,
            purposes=tuple(self.purposes),
            languages=tuple(self.languages),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            territories=tuple(self.territories),
            channels=tuple(self.channels),
            outside_boundary=self.outside_boundary,
            character_budget=self.character_budget,
        )


class NarrowBody(Body):
    """What is to remain; what is left out stays as it is."""

    purposes: list[Name] | None = Field(default=None, min_length=1)
    languages: list[Name] | None = Field(default=None, min_length=1)
    territories: list[Name] | None = Field(default=None, min_length=1)
    channels: list[Name] | None = Field(default=None, min_length=1)
    valid_until: float | None = None
    character_budget: int | None = Field(default=None, ge=1)
    inside_boundary: bool = Field(
        default=False, description="Take back that the voice may be processed outside."
    )

    def to_narrowing(self) -> Narrowing:
        return Narrowing(
            purposes=_tuple(self.purposes),
            languages=_tuple(self.languages),
            territories=_tuple(self.territories),
            channels=_tuple(self.channels),
            valid_until=self.valid_until,
            character_budget=self.character_budget,
            inside_boundary=self.inside_boundary,
        )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


class ClipsLost(Answer):
    clips: int = Field(description="Live clips that would be withdrawn.")


class ConsentsAnswer(Answer):
    consents: list[Consent] = Field(description="Oldest first; those that ended too.")


# decisions and clips
class ClaimBody(Body):
    """One utterance that somebody wants spoken. The text itself is not sent."""

    mode: Literal["clone", "custom", "design"]
    voice_id: Short = Field(default="", description="A ledger voice, or the speaker of a preset.")
    language: Short = Field(description="ISO 639-1.")
    said_digest: Short = Field(description="`grants.Utterance.digest()`, in hex.")
    characters: int
    purpose: Short | None = None
    consent_token: Short | None = Field(default=None, repr=False)
    territory: Short | None = None
    channel: Short | None = None

    def to_claim(self) -> SpeechClaim:
        return SpeechClaim(**self.model_dump())


class DecideBody(Body):
    claims: list[ClaimBody] = Field(min_length=1, max_length=1000, description="Decided from one snapshot.")


class Decision(Answer):
    """`allowed` tells which of the two groups of fields is there."""

    allowed: bool
    token: str | None = Field(
        default=None, repr=False, description="The signed grant: one use, seconds to start."
    )
    grant: Grant | None = None
    cache_scope: str | None = None
    code: str | None = Field(default=None, description="Why not; stable.")
    reason: str | None = Field(default=None, description="What the caller can do.")

    @classmethod
    def of(cls, verdict: Allow | Deny) -> Decision:
        if isinstance(verdict, Deny):
            return cls(allowed=False, code=verdict.code, reason=verdict.reason)
        return cls(allowed=True, token=verdict.token, grant=verdict.grant, cache_scope=verdict.cache_scope)


class Decisions(Answer):
    decisions: list[Decision] = Field(description="In the order of the claims.")


class RedeemBody(Body):
    token: Token = Field(repr=False)
    replica_id: Short = Field(description="To whose registered key the reference is sealed.")


class ReuseBody(Body):
    token: Token = Field(repr=False)
    clip_id: Short = Field(description="The finished clip that is to be handed out once more.")


class RedeemedAnswer(Answer):
    """The audit entry is committed. `sealed_reference` (HPKE, RFC 9180; base64) opens for the replica alone."""

    grant: Grant
    audit_leaf: int
    checkpoint: str
    sealed_reference: str | None = Field(default=None, repr=False, description="base64.")
    watermark: WatermarkTag | None = None

    @classmethod
    def of(cls, redeemed: Redeemed) -> RedeemedAnswer:
        reference = redeemed.sealed_reference
        return cls(
            grant=redeemed.grant,
            audit_leaf=redeemed.audit_leaf,
            checkpoint=redeemed.checkpoint,
            sealed_reference=None if reference is None else base64_of(reference),
            watermark=redeemed.watermark,
        )


class CloseBody(Body):
    outcome: Literal["completed", "cut", "disconnected", "failed"]
    seconds: float = 0.0
    audio_sha256: Short = ""
    reason: Short = Field(default="", description="A stable code.")

    def to_closing(self) -> Closing:
        return Closing(self.outcome, self.seconds, self.audio_sha256, self.reason)


class DesignBody(Body):
    replica_id: Short
    proof: Encoded = Field(repr=False, description="`sealing.spoken_proof`, base64.")
    audio_sha256: Short = Field(description="Of the clip as it came out, in hex.")


class LogLeaf(Answer):
    leaf: int = Field(description="Where the audit log tells of it.")


class ReplicaBody(Body):
    public_key: Encoded = Field(description="X25519, 32 bytes, base64.")
    proof: Encoded = Field(repr=False, description="`sealing.node_proof`, base64.")


class SealedKey(Answer):
    sealed: str = Field(repr=False, description="HPKE, base64; `sealing.watermark_info`.")


class _Clip(Answer):
    clip_id: str
    tenant: str
    voice_id: str
    basis: str
    consent_id: str | None
    consent_version: int | None
    purpose: str
    grantee: str
    audit_leaf: int
    audio_sha256: str
    seconds: float
    created_at: float
    objects: list[str] = Field(
        description="Where copies lie; empty in the record that a key sees which may only order and fetch clips."
    )
    state: str

    @classmethod
    def _held(cls, record: ClipRecord) -> dict[str, Any]:
        held = {name: getattr(record, name) for name in cls.model_fields if hasattr(record, name)}
        return {**held, "objects": list(record.objects)}


class ClipAnswer(_Clip):
    """What the register holds of a clip. Not its mark and fingerprint: they would help to find a watermark."""

    standing: str = Field(description="How its consent stands now.")

    @classmethod
    def of(cls, record: ClipRecord, standing: Standing) -> ClipAnswer:
        return cls.model_validate({**cls._held(record), "standing": standing.value})


class ReleasedClip(_Clip):
    """A clip that may go out once more, for the part of a platform that hands it over."""

    watermark: WatermarkTag | None

    @classmethod
    def of(cls, record: ClipRecord) -> ReleasedClip:
        return cls.model_validate(cls._held(record))


class ClipBody(Body):
    """What is known of a clip once it is finished."""

    audio_sha256: Short = Field(description="SHA-256 of the file as it goes out, in hex.")
    seconds: float
    objects: list[Token] = Field(default=[], description="URIs of its stored copies.")
    fingerprint: Encoded = Field(default=b"", description="base64.")


class StandingAnswer(Answer):
    standing: str
    as_of: float


# the person
class LinkBody(Body):
    token: Token = Field(repr=False, description="What follows the `=` in the link's fragment.")


class SignInBody(Body):
    tenant: Short
    contact: Short = Field(repr=False)


class WithdrawBody(Body):
    reason: Words = "withdrawn"


class ContactAnswer(Answer):
    state: str = Field(description="confirmation_pending, change_pending or confirmed.")

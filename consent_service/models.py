"""The values that cross this room's border: frozen, typed, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from consent_service.grants import Grant
from consent_service.proofs.records import ClipRecord, WatermarkTag


class Role(StrEnum):
    """Who may do what; the table is `consent_service.access.PERMISSIONS`."""

    VOICE_ADMIN = "voice_admin"
    REVIEWER = "reviewer"
    NARRATOR = "narrator"
    AUDITOR = "auditor"
    SUBJECT = "subject"
    OPERATOR = "operator"
    INSTALLATION = "installation"
    GATE = "gate"
    REPLICA = "replica"
    STAMPER = "stamper"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a caller with this key may claim. "*" in `voices` means every voice of the tenant."""

    purposes: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()  # ISO 3166-1 alpha-2 or "WORLD"; empty: the key claims none
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    tenant: str
    key_id: str
    grantee: str  # the organisation or team that consents are granted to
    roles: frozenset[Role]
    claims: Claims
    label: str = ""
    subject_id: str | None = None  # of a person who signed in; the key reaches what is theirs alone


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is known of an API key. `bindings`: voice id → the consent that it uses by default."""

    key_id: str
    grantee: str
    roles: tuple[Role, ...]
    claims: Claims
    label: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    bindings: Mapping[str, str]


class ContactState(StrEnum):
    """Where a person's contact stands."""

    CONFIRMATION_PENDING = "confirmation_pending"  # a link went to the contact
    CHANGE_PENDING = "change_pending"  # a link went to the contact so far, which must agree first
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in: a key that reaches what is theirs, for a short while."""

    api_key: str = field(repr=False)
    subject_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Use:
    """One time a voice spoke. `characters` is None where the log's entry does not tell them."""

    at: float
    voice_id: str
    consent_id: str | None
    purpose: str
    grantee: str
    characters: int | None
    seconds: float  # 0.0 until the clip was finished
    clip_id: str
    reused: bool  # a clip that was there already was handed out once more
    leaf: int  # where the audit log tells of it


@dataclass(frozen=True, slots=True)
class Uses:
    """A page of uses, latest first. `next` asks for the page after it; "" on the last."""

    uses: tuple[Use, ...]
    next: str


@dataclass(frozen=True, slots=True)
class SpeechClaim:
    """One request, as the gate sees it. The text itself never reaches the gate."""

    mode: Literal["clone", "custom", "design"]
    voice_id: str  # ledger voice id for "clone"; speaker name for "custom"; "" for "design"
    language: str  # ISO 639-1
    said_digest: str
    characters: int
    purpose: str | None = None  # None: the key's only purpose, else denied
    consent_token: str | None = field(default=None, repr=False)
    territory: str | None = None
    channel: str | None = None
    outside_boundary: bool = False  # the voice would be processed outside the organisation's own machines


@dataclass(frozen=True, slots=True)
class Allow:
    """Truthy. `token` is the signed grant; `cache_scope` is what the clip cache's key must hold of the
    decision (tenant, grantee, purpose, consent id and version, voice and epoch): equal scopes may share a
    clip."""

    grant: Grant
    token: str = field(repr=False)
    cache_scope: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """Falsy. `code` is stable; `reason` says what the caller can do."""

    code: str
    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The outcome of using up a grant: the audit entry is committed, the reference is sealed to the replica.

    `sealed_reference` (HPKE, RFC 9180) is None for presets and one-off designs. `checkpoint` is the signed
    note of the log that covers `audit_leaf`.
    """

    grant: Grant
    audit_leaf: int
    checkpoint: str
    sealed_reference: bytes | None = field(default=None, repr=False)
    watermark: WatermarkTag | None = None  # None only for a clip that exists already

    def clip_record(self, *, created_at: float) -> ClipRecord:
        """The register's record of the clip that is to come of it; digest, length and copies follow."""
        return clip_record(self.grant, self.audit_leaf, created_at=created_at, watermark=self.watermark)


def clip_record(
    grant: Grant, audit_leaf: int, *, created_at: float, watermark: WatermarkTag | None = None
) -> ClipRecord:
    """What the register holds of a clip from the moment that its grant is used up."""
    return ClipRecord(
        clip_id=grant.clip_id,
        tenant=grant.tenant,
        voice_id=grant.voice_id,
        basis=grant.basis.value,
        consent_id=grant.consent_id,
        consent_version=grant.consent_version,
        purpose=grant.purpose,
        grantee=grant.grantee,
        audit_leaf=audit_leaf,
        audio_sha256="",
        seconds=0.0,
        created_at=created_at,
        watermark=watermark,
    )


@dataclass(frozen=True, slots=True)
class Closing:
    """How a synthesis ended: the second audit record (DESIGN I3)."""

    outcome: Literal["completed", "cut", "disconnected", "failed"]
    seconds: float = 0.0
    audio_sha256: str = ""
    reason: str = ""  # a stable code


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry of the revocation feed. `seq` grows; a consumer resumes after the last it saw."""

    seq: int
    tenant: str
    voice_id: str
    voice_epoch: int  # grants with a lower epoch are dead
    consent_id: str | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the person must read aloud, and until when. `enrolment_id`: of an enrolment or of a further statement."""

    enrolment_id: str
    voice_id: str
    sentence: str = field(repr=False)  # holds the person's name
    language: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class EnrolmentAnswer:
    """The answer to an enrolment's challenge: two recordings, as encoded audio files, and what the reference says."""

    reference: bytes = field(repr=False)
    transcript: str = field(repr=False)
    statement: bytes = field(repr=False)
    note: str = ""  # goes into the evidence


@dataclass(frozen=True, slots=True)
class UnderReview:
    """What a reviewer decides on. `evidence`: what the examination found; its `doubts` say why a person must look."""

    voice_id: str
    enrolment_id: str
    kind: Literal["enrolment", "statement"]
    language: str
    sentence: str = field(repr=False)  # what the statement must say
    grantee: str
    purpose: str
    evidence: Mapping[str, Any]
    note: str


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of the ledger. kind: cloned (a person) or designed (no person)."""

    voice_id: str
    tenant: str
    name: str
    kind: Literal["cloned", "designed"]
    state: Literal["enrolling", "review", "active", "refused", "decommissioned"]
    epoch: int
    language: str
    created_at: float
    prompt_digest: str = ""  # of the sealed reference, which the vault opens by it
    retain_until: float | None = None  # Unix seconds; None: for the configured period


@dataclass(frozen=True, slots=True)
class VoiceHoldings:
    """What is kept of a voice, and goes with it when it is decommissioned."""

    name: str
    subject_name: str | None = field(repr=False)  # None: nobody's voice, or the person has another voice here
    recordings: int  # sealed: the reference, and every statement
    consents: int  # that are live, and would be revoked
    clips: int  # registered and not deleted yet, live or withdrawn


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What a consent allows. Languages, territories, channels: empty tuple means "none beyond the default" is
    not a wildcard — use "*" for all. Times are Unix seconds; at most ten years apart."""

    grantee: str
    purposes: tuple[str, ...]
    languages: tuple[str, ...]
    valid_from: float
    valid_until: float
    territories: tuple[str, ...] = ("*",)
    channels: tuple[str, ...] = ("*",)
    outside_boundary: bool = False  # may the voice be processed outside the controller's boundary?
    character_budget: int | None = None  # characters that may be spoken under it, in all; None: no limit


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What is to remain of a consent's terms; None leaves an axis as it is."""

    purposes: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    territories: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    valid_until: float | None = None
    character_budget: int | None = None
    inside_boundary: bool = False  # take back that the voice may be processed outside


@dataclass(frozen=True, slots=True)
class Consent:
    """A recorded consent. `version` grows when it is narrowed."""

    consent_id: str
    version: int
    tenant: str
    voice_id: str
    subject_id: str
    terms: ConsentTerms
    state: Literal["live", "revoked"]
    recorded_at: float
    revoked_at: float | None = None
    revoked_reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)  # how it is known that the person agreed


@dataclass(frozen=True, slots=True)
class RecordedConsent:
    """What `consents.record` gives back: the consent, its signed receipt, and the bearer token, shown once."""

    consent: Consent
    receipt: str
    consent_token: str = field(repr=False)

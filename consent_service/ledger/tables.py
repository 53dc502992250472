"""The tables. Every one carries the tenant (DESIGN I9); times are Unix seconds.

Primary keys are random ids, unique across tenants, because a few look-ups start without knowing the tenant
(an API key, a clip found in the wild). Every other query names the tenant. A change here needs a migration in
`ledger/migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from consent_service.ids import ID, new_salt

metadata: Final = MetaData()


class Id(TypeDecorator[str]):
    """An identifier. Callers send them, so what is not well formed is asked for as "", which no row has."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None or ID.fullmatch(value) else ""


def _tenant(*, key: bool = False) -> Column[str]:
    return Column("tenant", Id(63), primary_key=key, nullable=False)


tenants = Table("tenants", metadata, _tenant(key=True), Column("created_at", Float, nullable=False))

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Id(64), primary_key=True),
    _tenant(),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("grantee", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("claims", JSON, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("subject_id", Id(64)),  # of a key that a subject got by signing in
    Column("created_by", Id(64)),  # the key that made it; none made a tenant's first, nor a subject's
)

# The consent that a key speaks under when a request brings no consent_token.
bindings = Table(
    "bindings",
    metadata,
    Column("key_id", Id(64), primary_key=True),
    Column("voice_id", Id(64), primary_key=True),
    _tenant(),
    Column("consent_id", Id(64), nullable=False),
)

# The only place that holds the name of a person. Erasable: nothing else depends on it.
subjects = Table(
    "subjects",
    metadata,
    Column("subject_id", Id(64), primary_key=True),
    _tenant(),
    Column("name", Text, nullable=False),
    Column("contact", Text, nullable=False, server_default=""),
    Column("contact_confirmed_at", Float),
)

# Single-use links to a subject's contact: to confirm it, to sign in, to change it. Only a hash of the secret stays.
subject_links = Table(
    "subject_links",
    metadata,
    Column("link_id", Id(64), primary_key=True),
    _tenant(),
    Column("subject_id", Id(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("contact", Text, nullable=False),
    Column("requested_by", Id(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)

# What makes a commitment in the log meaningless once it is deleted.
salts = Table(
    "salts",
    metadata,
    Column("object_id", Id(64), primary_key=True),
    Column("field", String(40), primary_key=True),
    _tenant(),
    Column("salt", LargeBinary(32), nullable=False),
)

voices = Table(
    "voices",
    metadata,
    Column("voice_id", Id(64), primary_key=True),
    _tenant(),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("language", String(8), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("prompt_digest", String(64), nullable=False),
    Column("subject_id", Id(64)),
    Column("destroyed_at", Float),
    Column("retain_until", Float),
    # Under which the log commits to what the voice said; erased with the voice (audit.said_commitment).
    Column("said_salt", LargeBinary(32), default=new_salt),
    Index("voices_by_tenant", "tenant", "created_at"),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("enrolment_id", Id(64), primary_key=True),
    _tenant(),
    Column("voice_id", Id(64), nullable=False),
    Column("kind", String(16), nullable=False, server_default="enrolment"),  # or "statement": a further one
    Column("enrolled_by", Id(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("statement_digest", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("nonce", String(64), nullable=False, server_default=""),
    Column("grantee", Text, nullable=False, server_default=""),
    Column("purpose", String(64), nullable=False, server_default=""),
    Column("evidence", JSON),
    Column("approved_at", Float),
    Index("enrolments_by_voice", "tenant", "voice_id"),
)

consents = Table(
    "consents",
    metadata,
    Column("consent_id", Id(64), primary_key=True),
    _tenant(),
    Column("voice_id", Id(64), nullable=False),
    Column("subject_id", Id(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("terms", JSON, nullable=False),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("recorded_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("revoked_reason", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("characters_used", BigInteger, nullable=False, server_default="0"),
    Column("evidence", JSON),
    Index("consents_by_voice", "tenant", "voice_id"),
)

# Every version that ever stood, as it was agreed.
consent_versions = Table(
    "consent_versions",
    metadata,
    Column("consent_id", Id(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    _tenant(),
    Column("terms", JSON, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("recorded_at", Float, nullable=False),
)

# A replica serves every tenant: its tenant is "*".
replicas = Table(
    "replicas",
    metadata,
    Column("replica_id", Id(200), primary_key=True),
    _tenant(),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("registered_at", Float, nullable=False),
)

# Grants that were used up; the primary key is what makes a grant good for once.
redemptions = Table(
    "redemptions",
    metadata,
    Column("grant_id", Id(64), primary_key=True),
    _tenant(),
    Column("clip_id", Id(64), nullable=False),
    Column("reused_clip_id", Id(64)),
    Column("leaf", BigInteger, nullable=False),
    Column("closing_leaf", BigInteger),
    Column("redeemed_at", Float, nullable=False),
    # Only of those that handed out a clip once more: an ordinary redemption pays nothing for it.
    Index(
        "redemptions_by_reuse",
        "tenant",
        "reused_clip_id",
        sqlite_where=text("reused_clip_id IS NOT NULL"),
        postgresql_where=text("reused_clip_id IS NOT NULL"),
    ),
)

clips = Table(
    "clips",
    metadata,
    Column("clip_id", Id(64), primary_key=True),
    _tenant(),
    Column("voice_id", Id(80), nullable=False),
    Column("basis", String(16), nullable=False),
    Column("consent_id", Id(64)),
    Column("consent_version", Integer),
    Column("purpose", String(64), nullable=False),
    Column("grantee", Text, nullable=False),
    Column("said_digest", String(64), nullable=False),
    Column("audit_leaf", BigInteger, nullable=False),
    Column("audio_sha256", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("objects", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("watermark_epoch", Integer),
    Column("watermark_tag", Integer),
    Column("fingerprint", LargeBinary),
    Index("clips_by_voice", "tenant", "voice_id", "audit_leaf"),
    Index("clips_by_consent", "tenant", "consent_id"),
    Index("clips_by_mark", "watermark_epoch", "watermark_tag", unique=True),
)

# What the replica that redeemed a grant for a one-off design says came of it: only that may be kept as a voice.
design_reports = Table(
    "design_reports",
    metadata,
    Column("clip_id", Id(64), primary_key=True),
    _tenant(),
    Column("grant_id", Id(64), nullable=False),
    Column("replica_id", Id(200), nullable=False),
    Column("audio_sha256", String(64), nullable=False),
)

# Where a door keeps what was derived from voices: deletion looks in every one of them.
clip_stores = Table(
    "clip_stores",
    metadata,
    _tenant(key=True),
    Column("uri_sha256", String(64), primary_key=True),
    Column("uri", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("registered_at", Float, nullable=False),
)

# A decommissioning under way or done: `step` is the last that was finished.
decommissions = Table(
    "decommissions",
    metadata,
    Column("voice_id", Id(64), primary_key=True),
    _tenant(),
    Column("step", String(40), nullable=False),
    Column("begun_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("report", JSON, nullable=False),
    Column("certificate", Text, nullable=False),
)

# The revocation feed: `seq` is drawn from `counters` under its row lock, so that entries appear in its order.
revocations = Table(
    "revocations",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _tenant(),
    Column("voice_id", Id(64), nullable=False),
    Column("voice_epoch", Integer, nullable=False),
    Column("consent_id", Id(64)),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    _tenant(key=True),
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# The audit log: one RFC 6962 tree per tenant. The head's row is the lock that every writer takes first.
log_heads = Table(
    "log_heads",
    metadata,
    _tenant(key=True),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("said_salt", LargeBinary(32), default=new_salt),  # the same, for voices that are no person's
)

log_entries = Table(
    "log_entries",
    metadata,
    _tenant(key=True),
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
)

log_nodes = Table(
    "log_nodes",
    metadata,
    _tenant(key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

# The longest log of the tenant that a superseded key may have signed.
superseded_keys = Table(
    "superseded_keys",
    metadata,
    _tenant(key=True),
    Column("public_key", LargeBinary(32), primary_key=True),
    Column("log_size", BigInteger, nullable=False),
)

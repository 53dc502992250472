"""Where the consent service keeps things."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from consent_service.examination.config import ExaminationConfig
from consent_service.keys.settings import KmsConfig
from consent_service.ledger.address import complete, holds_password, read_address
from consent_service.mail import SmtpConfig
from consent_service.policy.limits import LimitsConfig


class ConsentConfig(BaseModel):
    """Configuration of ledger, vault and keys. The defaults are the embedded ones: SQLite and files."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        description="Holds ledger.sqlite3, vault/, keys/ and clips/ unless configured otherwise."
    )
    profile: Literal["local", "cluster"] = Field(
        default="local",
        description="Only `local` creates keys on first use; `cluster` refuses to start without.",
    )
    ledger_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL, its password as ${NAME} of an environment variable; None: SQLite in data_dir.",
    )
    ledger_url_file: Path | None = Field(
        default=None, description="A file of mode 0600 that holds the SQLAlchemy URL, in place of ledger_url."
    )
    vault_url: str | None = Field(
        default=None, description="Sealed recordings: a folder or s3://bucket/prefix; None: data_dir/vault."
    )
    wrapped_keys_url: str | None = Field(
        default=None,
        description="The voices' wrapped data keys, kept out of every backup; None: data_dir/wrapped-keys.",
    )
    clip_stores: tuple[str, ...] = Field(
        default=(),
        description="Places where other programs keep clips that they register, each tenant's in a folder of its name.",
    )
    keys_url: str | None = Field(
        default=None, description="Key files; in S3 only where a KMS seals them. None: data_dir/keys."
    )
    kms: KmsConfig | None = Field(default=None, description="None: keys in files.")
    key_overlap_s: float = Field(
        default=86_400.0,
        ge=0,
        description="How long a rotated key is kept at least before it may be retired.",
    )
    provider: str = Field(
        default="Vouch (self-hosted)", description="Who answers for the clips; goes into each."
    )
    disclosure_profile: str = Field(
        default="default", description="What clips must say beyond what every clip says: default, or cn."
    )
    outside_boundary: bool = Field(
        default=False,
        description="Voices are processed outside your own machines, on a vendor's cluster say: then only consents "
        "that allow it are granted anything.",
    )
    privacy_contact: str = Field(
        default="", description="Where a person asks about their data; goes into receipts and messages."
    )
    privacy_notice: str = Field(default="", description="URL of the privacy notice; goes into receipts.")
    log_origin: str = Field(default="vouch.local/log", description="C2SP checkpoint origin of the audit log.")
    grant_start_within_s: float = Field(
        default=30.0, gt=0, le=3600, description="How long after its issue a grant may start to be spoken."
    )
    smtp: SmtpConfig | None = Field(
        default=None,
        description="How persons get their links. None: profile `local` writes them to data_dir/outbox.",
    )
    subject_page: str = Field(
        default="",
        description="URL of the page that a person's link opens. Empty: `/me` where the service listens, which is "
        "right on one machine alone.",
    )
    examination: ExaminationConfig = Field(
        default=ExaminationConfig(), description="Who examines the recordings of an enrolment."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="Rate limits, of each process.")
    retention_days: float | None = Field(
        default=None,
        gt=0,
        description="How long a voice is kept unless agreed otherwise; None: without an end.",
    )
    backup_horizon_days: float | None = Field(
        default=None,
        ge=0,
        description="How long your backups of ledger, vault and clips are kept; certificates of deletion say it.",
    )
    busy_timeout_s: float = Field(default=5.0, gt=0, description="How long a writer waits for the database.")

    @model_validator(mode="after")
    def _no_secret_in_it(self) -> Self:
        """Configuration is written into job files and shown in reprs."""
        if self.ledger_url is not None and self.ledger_url_file is not None:
            raise ValueError("give ledger_url or ledger_url_file, not both")
        if self.ledger_url is not None and holds_password(self.ledger_url):
            raise ValueError(
                "ledger_url must not hold a password: write ${NAME} of an environment variable in its place, "
                "or put the whole URL into a file of mode 0600 and name that in ledger_url_file"
            )
        if self.kms is None and self.keys_url is not None and self.keys_url.startswith("s3:"):
            raise ValueError("keys lie in S3 only where a KMS seals them: configure kms, or name a folder")
        return self

    @property
    def url(self) -> str:
        """The ledger's address, complete: for opening it and nothing else. Raises LedgerUnavailable."""
        if self.ledger_url_file is not None:
            return read_address(self.ledger_url_file)
        return (
            complete(self.ledger_url) if self.ledger_url else f"sqlite:///{self.data_dir / 'ledger.sqlite3'}"
        )

    @property
    def review_independent(self) -> bool:
        """Whether a reviewer's key must be independent of those that enrolled."""
        asked = self.examination.review_independent
        return self.profile == "cluster" if asked is None else asked

    @property
    def vault_place(self) -> str | Path:
        return self.vault_url or self.data_dir / "vault"

    @property
    def wrapped_keys_place(self) -> str | Path:
        return self.wrapped_keys_url or self.data_dir / "wrapped-keys"

    @property
    def keys_place(self) -> str | Path:
        return self.keys_url or self.data_dir / "keys"


def page_at(host: str, port: int, scheme: str = "http") -> str:
    """The person's page of a service that listens there."""
    anywhere = host in ("0.0.0.0", "::", "")  # noqa: S104 - not an address that a link can lead to
    name = "127.0.0.1" if anywhere else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}/me"

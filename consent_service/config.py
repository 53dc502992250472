"""Where the consent service keeps things."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ConsentConfig(BaseModel):
    """Configuration of ledger, vault and keys. The defaults are the embedded ones: SQLite and files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(
        description="Holds ledger.sqlite3, vault/, keys/ and clips/ unless configured otherwise."
    )
    profile: Literal["local", "cluster"] = Field(
        default="local",
        description="Only `local` creates keys on first use; `cluster` refuses to start without.",
    )
    ledger_url: str | None = Field(default=None, description="SQLAlchemy URL; None: SQLite in data_dir.")
    provider: str = Field(
        default="Vouch (self-hosted)", description="Who answers for the clips; goes into each."
    )
    log_origin: str = Field(default="vouch.local/log", description="C2SP checkpoint origin of the audit log.")
    grant_start_within_s: float = Field(default=30.0, gt=0, le=3600)
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

    @property
    def url(self) -> str:
        return self.ledger_url or f"sqlite:///{self.data_dir / 'ledger.sqlite3'}"

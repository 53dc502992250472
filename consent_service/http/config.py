"""Configuration of the service that runs on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from consent_service.config import ConsentConfig, page_at

MAX_UPLOAD_BYTES: Final = 32 << 20  # of a request with recordings or a clip, at every door


class ApiConfig(BaseModel):
    """Ledger, vault and keys; where to listen; how much to read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    consent: ConsentConfig
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8010, ge=0, le=65535, description="0: any free port.")
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM. Without it, keys travel in the open: listen on this machine, behind a proxy.",
    )
    tls_key: Path | None = Field(default=None, description="PEM.")
    trusted_proxies: str = Field(
        default="", description="Addresses whose X-Forwarded-For is believed, separated by commas."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins whose pages may call, 'https://app.example' say. None: no page of another.",
    )
    max_body_bytes: int = Field(default=1 << 20, ge=1024, description="Of any request but an upload.")
    max_upload_bytes: int = Field(
        default=MAX_UPLOAD_BYTES, ge=1 << 20, description="Of a request with recordings."
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("give tls_certificate and tls_key together, or neither")
        return self

    @model_validator(mode="after")
    def _page_of_ours(self) -> Self:
        if not self.consent.subject_page:
            page = page_at(self.host, self.port, "http" if self.tls_key is None else "https")
            object.__setattr__(self, "consent", self.consent.model_copy(update={"subject_page": page}))
        return self

    @classmethod
    def load(cls, path: Path) -> ApiConfig:
        """Read YAML (or JSON, which is YAML). Raises OSError, yaml.YAMLError or ValueError."""
        return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})

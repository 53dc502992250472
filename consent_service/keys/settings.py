"""How a KMS is reached and which of its keys are ours. Names only: credentials come from where botocore looks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class KmsConfig(BaseModel):
    """AWS KMS, or what speaks its protocol. Keys are named by id, ARN or alias."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = Field(min_length=1, description="AWS region, eu-central-1 say.")
    endpoint_url: str | None = Field(default=None, description="None: AWS's own endpoint of the region.")
    kek: str = Field(min_length=1, description="Symmetric; wraps the voices' data keys.")
    seal: str | None = Field(
        default=None, description="Symmetric; seals the signing and watermark secrets. None: as `kek`."
    )
    manifest: str | None = Field(
        default=None,
        description="ECC_NIST_P256, sign and verify; signs manifests in the KMS. None: a sealed key of our own.",
    )
    connect_timeout_s: float = Field(default=2.0, gt=0, description="For a connection to be made.")
    read_timeout_s: float = Field(default=5.0, gt=0, description="For an answer.")
    attempts: int = Field(default=3, ge=1, le=10, description="Of one call, the first included.")
    refresh_s: float = Field(
        default=10.0, ge=0, description="How often a process looks whether the sealed keys have changed."
    )

    @property
    def seals(self) -> str:
        return self.seal or self.kek

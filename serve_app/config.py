"""The configuration of the online door: typed, complete, and with defaults that run on a laptop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, model_validator

from consent_service.config import ConsentConfig, page_at
from consent_service.http.config import MAX_UPLOAD_BYTES
from speech.config import EngineConfig

_STRICT = ConfigDict(extra="forbid", frozen=True)


class IngressConfig(BaseModel):
    """The CPU ingress: HTTP, validation, stamping, hand-over."""

    model_config = _STRICT

    replicas: int = Field(default=1, ge=1, le=64, description="Processes that answer HTTP.")
    num_cpus: float = Field(default=0.5, ge=0, description="Logical CPUs of one replica: placement only.")
    max_ongoing_requests: int = Field(
        default=128, ge=1, description="HTTP requests one replica works on at once."
    )
    max_text_characters: int = Field(default=4_000, ge=1, description="Longer texts are for narration.")
    max_upload_bytes: int = Field(
        default=MAX_UPLOAD_BYTES,
        ge=1_000,
        description="Of a request with recordings, or with a clip to verify.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins whose pages may call, 'https://app.example' say. None: no page of another.",
    )
    anonymous_checks: int = Field(
        default=30, ge=1, description="Clips that one address may have looked at in a row, without a key."
    )
    anonymous_checks_per_minute: float = Field(default=10.0, gt=0, description="How fast that refills.")
    trusted_proxies: tuple[IPvAnyNetwork, ...] | None = Field(
        default=None,
        description="Addresses or networks of the proxies before us, whose X-Forwarded-For is believed. Serve's own "
        "HAProxy is one of them: leave its address out, and all callers share it, so that one with wrong API keys "
        "locks all others out. Unset: wrong keys are not counted by address. `[]`: no proxy at all, not even that one.",
    )
    request_deadline_s: float = Field(default=120.0, gt=0, description="Ours; callers cannot change it.")
    failures: int = Field(default=20, ge=1, description="Wrong API keys in a row from one address.")
    failures_per_s: float = Field(default=0.2, gt=0, description="How fast an address is forgiven.")
    default_language: str = Field(
        default="en",
        description="Of a text whose caller names none, as OpenAI clients do: then it is read in this language.",
    )


class GateConfig(BaseModel):
    """The consent gate: a CPU deployment of its own; the only one that opens ledger, vault and keys."""

    model_config = _STRICT

    replicas: int = Field(default=1, ge=1, le=64, description="Processes that decide.")
    num_cpus: float = Field(default=0.25, ge=0, description="Logical CPUs of one replica: placement only.")
    max_ongoing_requests: int = Field(
        default=256, ge=1, description="Questions one replica works on at once."
    )
    timeout_s: float = Field(default=10.0, gt=0, description="No answer by then is a refusal (fail closed).")
    revocation_wait_s: float = Field(
        default=0.15, gt=0, le=0.5, description="Long poll of the revocation feed."
    )


class VoiceConfig(BaseModel):
    """The model replicas: a fraction of a GPU each, autoscaled across the cluster."""

    model_config = _STRICT

    num_gpus: float = Field(default=0.0, ge=0, description="Logical; 0.25 packs four replicas to a GPU.")
    num_cpus: float = Field(default=0.5, ge=0, description="Logical CPUs of one replica: placement only.")
    min_replicas: int = Field(
        default=1, ge=0, description="That run when nobody asks; 0: the first caller waits."
    )
    max_replicas: int = Field(default=1, ge=1, description="That run at most.")
    target_ongoing_requests: float = Field(
        default=2.0, gt=0, description="Requests for each replica from which on another one is started."
    )
    max_ongoing_requests: int = Field(default=8, ge=1, description="Requests one replica speaks at once.")
    max_queued_requests: int = Field(
        default=64, ge=-1, description="Beyond it callers get 503 with Retry-After."
    )
    upscale_delay_s: float = Field(
        default=5.0, ge=0, description="How long more replicas must be wanted before they are started."
    )
    downscale_delay_s: float = Field(
        default=120.0, ge=0, description="How long fewer replicas must be enough before some are stopped."
    )
    look_back_period_s: float = Field(
        default=10.0, gt=0, description="Over how long the number of requests is averaged."
    )
    metrics_interval_s: float = Field(
        default=2.0, gt=0, description="How often a replica reports its number of requests."
    )
    graceful_shutdown_timeout_s: float = Field(
        default=120.0, gt=0, description="Above the longest utterance, or a scale-down cuts audio."
    )
    health_check_period_s: float = Field(
        default=2.0, gt=0, description="A replica whose engine is lost is replaced after three of them."
    )
    stale_after_s: float = Field(
        default=0.7, gt=0, le=0.9, description="Older knowledge of revocations than this releases no audio."
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("voice.min_replicas must not exceed voice.max_replicas")
        return self


class HttpConfig(BaseModel):
    """Where Serve listens."""

    model_config = _STRICT

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0: every one.")
    port: int = Field(default=8000, ge=0, le=65535, description="0: any free port.")
    proxy_location: Literal["HeadOnly", "EveryNode"] = Field(
        default="HeadOnly", description="Which nodes of a cluster listen."
    )

    @property
    def page(self) -> str:
        """The person's page, as it is reached on this machine."""
        return page_at(self.host, self.port)


class AppConfig(BaseModel):
    """Everything `build_app` needs. Unknown keys are an error."""

    model_config = _STRICT

    profile: Literal["local", "cluster"] = Field(
        default="local",
        description="`local`: an embedded Ray, keys made on first use. `cluster`: joins a running Ray, makes none.",
    )
    consent: ConsentConfig
    engine: EngineConfig = Field(
        description="Chosen by name; there is no fallback from one engine to another."
    )
    ingress: IngressConfig = Field(default_factory=IngressConfig)
    gate: GateConfig = Field(default_factory=GateConfig)
    voice: VoiceConfig = Field(default_factory=VoiceConfig)
    http: HttpConfig = Field(default_factory=HttpConfig)
    clip_dir: str | None = Field(
        default=None, description="fsspec URL of the encrypted clip store; None: data_dir."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_profile(cls, given: Any) -> Any:
        """What is said of the application holds for its consent service too, unless that says so itself."""
        if isinstance(given, Mapping) and isinstance(consent := given.get("consent"), Mapping):
            profile = given.get("profile", "local")
            return {**given, "consent": {"profile": profile, **consent}}
        return given

    @model_validator(mode="after")
    def _no_keys_by_accident(self) -> Self:
        if self.profile == "cluster" and self.consent.profile != "cluster":
            raise ValueError("profile cluster makes no keys: set consent.profile to cluster too")
        return self

    @model_validator(mode="after")
    def _page_of_ours(self) -> Self:
        if not self.consent.subject_page:
            self._set_page(self.http.page)
        return self

    def _set_page(self, page: str) -> None:
        object.__setattr__(self, "consent", self.consent.model_copy(update={"subject_page": page}))

    def on_port(self, port: int) -> AppConfig:
        """The same, listening there; a person's links follow, unless they lead to a page of another service."""
        moved = self.model_copy(update={"http": self.http.model_copy(update={"port": port})})
        if self.consent.subject_page == self.http.page:
            moved._set_page(moved.http.page)
        return moved

    @property
    def clips(self) -> str:
        return self.clip_dir or str(self.consent.data_dir / "clips")

    @classmethod
    def load(cls, path: Path, data_dir: Path | None = None) -> AppConfig:
        """Read a YAML file. data_dir: for one of profile `local` that names none; the nodes of a cluster must agree on
        theirs, so it has to be said. Raises ValueError with the offending key."""
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        if data_dir is not None and isinstance(given, dict) and given.get("profile", "local") == "local":
            consent = given.get("consent") or {}
            if isinstance(consent, dict):
                given["consent"] = {"data_dir": data_dir, **consent}
        return cls.model_validate(given)

    @classmethod
    def local(cls, data_dir: Path, **changes: object) -> AppConfig:
        """The embedded defaults: SQLite, files, one machine, and an engine that imitates no one."""
        return cls.model_validate(
            {"consent": {"data_dir": data_dir}, "engine": {"name": "embedded"}, **changes}
        )

"""What a narration needs to know, how far it is, and how it ended. Parsed at the edge; holds no secret."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from consent_service.config import ConsentConfig
from provenance.errors import ProvenanceError
from provenance.formats.catalogue import NAMES
from provenance.formats.delivery import Delivery, delivery
from provenance.profiles.profile import load_profile
from speech.config import EngineConfig
from speech.errors import TextError
from speech.text import TEXT_VERSION
from speech.text.lexicon import Lexicon

# What of an engine's configuration decides how a row sounds; the rest is about where and how fast.
_DECIDES_THE_SOUND: Final = {
    "name",
    "base",
    "custom_voice",
    "voice_design",
    "max_frames",
    "budget",
    "on_runaway",
    "dtype",
}


class NarrateConfig(BaseModel):
    """One narration: a script in, results and clips out. The same configuration resumes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    input: str = Field(min_length=1, description="Parquet file or folder of them: a path or an fsspec URI.")
    output: str = Field(min_length=1, description="Folder for results and clips: a path or an fsspec URI.")
    consent: ConsentConfig
    engine: EngineConfig
    api_key_file: Path = Field(description="File of mode 0600 that holds the API key; read by every process.")
    purpose: str | None = Field(default=None, description="For rows that name none.")

    lexicon: dict[str, str] = Field(
        default={}, repr=False, description="Respellings for every row: how words are said that read wrong."
    )

    format: str = Field(default="wav", description=f"Of the clips: {', '.join(NAMES)}.")
    sample_rate: int | None = Field(default=None, description="Hz; None: the format's own, 24000 for most.")
    loudness: float | None = Field(
        default=None, description="Programme loudness in LUFS (EBU R 128); None: as spoken."
    )
    spoken_disclaimer: bool = Field(
        default=False, description="Every clip begins by saying that the voice is artificial."
    )

    ray_address: str | None = Field(
        default=None,
        description="None: the running Ray of this process or job, else a private one on this machine. "
        "'auto' or host:port: that cluster.",
    )
    ray_cpus: int | None = Field(default=None, ge=1, description="Logical CPUs of a private Ray.")
    engines: int = Field(default=1, ge=1, description="Engine actors at the start, and at least.")
    engines_max: int | None = Field(
        default=None, ge=1, description="Engine actors at most; None: as `engines`."
    )
    engine_cpus: float = Field(default=0.5, ge=0, description="Logical CPUs of one engine actor.")
    engine_gpus: float = Field(
        default=0.0,
        ge=0,
        description="Share of a GPU of one engine actor. Ray caps no memory: set engine.memory_fraction too.",
    )
    rows_in_flight: int = Field(
        default=2, ge=1, le=256, description="Rows one engine actor speaks at a time."
    )
    rows_per_block: int = Field(
        default=25, ge=1, le=10_000, description="Rows that travel together: what a kill can cost per actor."
    )
    rows_per_part: int = Field(default=50_000, ge=1, description="Rows in one file of the published results.")
    lost_blocks: int = Field(
        default=3, ge=0, description="How often a block may be tried again after its actor died."
    )
    engine_replacements: int = Field(
        default=3,
        ge=0,
        le=9999,
        description="How often an engine actor whose device is lost is replaced; after that its rows are errors.",
    )

    @field_validator("lexicon", mode="after")
    @classmethod
    def _usable(cls, lexicon: dict[str, str]) -> dict[str, str]:
        try:
            Lexicon(lexicon)
        except TextError as exc:
            raise ValueError(exc.message) from None
        return lexicon

    @model_validator(mode="after")
    def _deliverable(self) -> Self:
        try:
            _ = self.delivery
            load_profile(self.consent.disclosure_profile)
        except ProvenanceError as exc:
            raise ValueError(exc.message) from None
        return self

    @field_validator("input", "output", mode="after")
    @classmethod
    def _absolute_uri(cls, uri: str) -> str:
        return uri if "://" in uri else str(Path(uri).absolute())

    @field_validator("api_key_file", mode="after")
    @classmethod
    def _absolute_path(cls, path: Path) -> Path:
        return path.absolute()

    @field_validator("consent", mode="after")
    @classmethod
    def _absolute_data(cls, consent: ConsentConfig) -> ConsentConfig:
        """Actors and jobs run in other folders than whoever wrote this."""
        return consent.model_copy(update={"data_dir": consent.data_dir.absolute()})

    @property
    def delivery(self) -> Delivery:
        return delivery(self.format, self.sample_rate, self.loudness)

    @property
    def model_identity(self) -> str:
        """Changes when other audio would be made of the same rows; part of every row's digest."""
        body = self.engine.model_dump(mode="json", include=set(_DECIDES_THE_SOUND))
        body |= {"lexicon": self.lexicon, "text": TEXT_VERSION, "delivery": self.delivery.key}
        body |= {"profile": self.consent.disclosure_profile, "spoken_disclaimer": self.spoken_disclaimer}
        return hashlib.sha256(rfc8785.dumps(body)).hexdigest()

    @property
    def most_engines(self) -> int:
        return max(self.engines, self.engines_max or self.engines)


class Progress(BaseModel):
    """How far a narration is. `audio_rate` is seconds of audio per second of wall clock since synthesis
    began."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Literal["check", "start", "narrate", "publish", "done"]
    rows_in: int = 0
    rows_done: int = 0
    ok: int = 0
    refused: int = 0
    error: int = 0
    kept: int = Field(default=0, description="Of `ok`: rows whose clip was already there and still stands.")
    seconds_audio: float = 0.0
    audio_rate: float = 0.0


class NarrateSummary(BaseModel):
    """How a narration ended. ok + refused + error = rows_in, always."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows_in: int
    ok: int
    refused: int
    error: int
    kept: int = Field(description="Of `ok`: made by an earlier run.")
    codes: dict[str, int] = Field(description="How many rows were not spoken, by code.")
    seconds_audio: float
    seconds_wall: float
    output: str

"""Which engine speaks, and with what. Parsed once at the edge; nothing here is read from the environment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from speech.budget import PUBLISHED, Budget
from speech.languages import CODES
from speech.text import MAX_CHARACTERS


class Checkpoint(BaseModel):
    """Where one Qwen3-TTS checkpoint lies. A plain string means `source` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1, description="A local directory, or a hub id such as Qwen/Qwen3-TTS-….")
    revision: str | None = Field(default=None, description="Commit or tag of a hub id; pin it in production.")


class BudgetConfig(BaseModel):
    """How long speech may take before it counts as run away; `benchmarks.engine calibrate` measures it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    headroom: float = Field(
        default=PUBLISHED.headroom, ge=1, le=20, description="Times a usual reader's time; for slow styles."
    )
    fixed_s: float = Field(default=PUBLISHED.fixed_s, ge=0.5, le=60, description="Seconds on top of that.")
    seconds_per_syllable: dict[str, float] = Field(
        default={}, description="By language code; one that is left out keeps the published rate."
    )

    @field_validator("seconds_per_syllable")
    @classmethod
    def _known_and_possible(cls, rates: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(rates) - set(CODES)):
            raise ValueError(f"no such language: {', '.join(unknown)}; the codes are {', '.join(CODES)}")
        if any(not 0.02 <= rate <= 2 for rate in rates.values()):
            raise ValueError("seconds per syllable lie between 0.02 and 2")
        return rates

    def budget(self) -> Budget:
        return Budget(self.headroom, self.fixed_s, self.seconds_per_syllable)


class Smaller(BaseModel):
    """Checkpoints to take where the configured ones do not fit into memory (0.6B for 1.7B, say)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Checkpoint | None = None
    custom_voice: Checkpoint | None = None
    voice_design: Checkpoint | None = None

    @field_validator("base", "custom_voice", "voice_design", mode="before")
    @classmethod
    def _plain_source(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


class EngineConfig(BaseModel):
    """Configuration of one engine. There is no "auto": an engine is chosen, never fallen back to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["embedded", "qwen"] = Field(description="embedded: eSpeak NG, no clone. qwen: Qwen3-TTS.")
    max_characters: int = Field(default=MAX_CHARACTERS, ge=1, description="Longest text of one request.")

    base: Checkpoint | None = Field(default=None, description="Base checkpoint: speaks in cloned voices.")
    custom_voice: Checkpoint | None = Field(
        default=None, description="CustomVoice checkpoint: preset speakers."
    )
    voice_design: Checkpoint | None = Field(
        default=None, description="VoiceDesign checkpoint: described voices."
    )
    offline: bool = Field(default=False, description="Never download; a hub id must already be cached.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: cuda where there is one."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 on cuda, float32 on cpu (bit-exact repeats)."
    )
    memory_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the GPU's memory this process may take; Ray caps nothing.",
    )
    fallback: Smaller | None = Field(
        default=None,
        description="Allows a smaller checkpoint where the configured one runs out of memory at load; it says so.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Requests spoken at a time. Left out: as many as fit on a GPU, 8 on a CPU.",
    )
    positions: int = Field(
        default=2048,
        ge=128,
        le=16384,
        description="Length of a slot: reference, text and frames of one segment, in positions.",
    )
    max_queued: int = Field(
        default=256, ge=1, description="Requests that may run or wait; one more is refused as overloaded."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Of a CPU. Omitted: as many as make frames quickest, measured at start.",
    )
    compile: Literal["auto", "off"] = Field(
        default="auto", description="auto: warm_up compiles the frame where a compiler exists; else eager."
    )
    compile_cache: str | None = Field(
        default=None, description="Directory for compiled code, so that the next start is quick."
    )
    delivery: Literal["stream", "segment"] = Field(
        default="stream",
        description="stream: audio leaves from the first frame on. segment: only when a segment is whole, so "
        "that one that ran away can be tried again unheard; for narration.",
    )
    max_frames: int = Field(
        default=8192, ge=2, description="Hard limit of codec frames (12.5 per second) for one generation."
    )
    budget: BudgetConfig = Field(
        default=BudgetConfig(), description="From which the frames of a text are reckoned."
    )
    on_runaway: Literal["fail", "cut"] = Field(
        default="fail",
        description="When speech does not end within its frame budget: fail, or give what there is.",
    )
    prompt_cache_size: int = Field(
        default=64, ge=0, description="Voice prompts kept in memory, least used out."
    )

    pace: float | None = Field(
        default=None,
        gt=0,
        description="embedded only: no faster than this many times real time, to rehearse autoscaling without a GPU.",
    )

    @field_validator("base", "custom_voice", "voice_design", mode="before")
    @classmethod
    def _plain_source(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_the_engine(self) -> EngineConfig:
        given = [name for name in ("base", "custom_voice", "voice_design") if getattr(self, name) is not None]
        if self.name == "qwen" and not given:
            raise ValueError("engine qwen needs at least one checkpoint: base, custom_voice or voice_design")
        if self.name == "embedded" and given:
            raise ValueError(
                f"engine embedded takes no checkpoint, but {', '.join(given)} is set; use name: qwen"
            )
        if self.name == "qwen" and self.pace is not None:
            raise ValueError("pace slows the embedded engine down for rehearsals; Qwen3-TTS keeps its own")
        return self

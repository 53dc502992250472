"""Who examines an enrolment, and what may follow without a reviewer."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STRICT = ConfigDict(extra="forbid", frozen=True)


class RecogniserConfig(BaseModel):
    """A speech recogniser that answers like OpenAI's /v1/audio/transcriptions. The statement is sent to it: name
    one inside your boundary."""

    model_config = _STRICT

    url: str = Field(pattern=r"^https?://", description="The full address of the transcription endpoint.")
    model: str = Field(default="whisper-1", description="What the endpoint calls its model.")
    api_key_env: str | None = Field(default=None, description="Environment variable that holds its API key.")
    timeout_s: float = Field(default=30.0, gt=0, le=300, description="For the whole answer.")


class ExaminationConfig(BaseModel):
    """The defaults ask for everything that runs offline, and for a reviewer in every case."""

    model_config = _STRICT

    speaker: Literal["resemblyzer", "none"] = Field(
        default="resemblyzer", description="`none`: not compared, the evidence says so, a reviewer decides."
    )
    transcript: Literal["human", "pocketsphinx", "http"] = Field(
        default="human",
        description="Who decides whether the challenge was spoken; `pocketsphinx` knows English only.",
    )
    recogniser: RecogniserConfig | None = Field(default=None, description="For `transcript: http`.")
    marks: Literal["own", "none"] | tuple[str, ...] = Field(
        default="own",
        description="The program that looks for marks of synthetic speech: this product's own, or a command. "
        "`none`: not looked for, the evidence says so, a reviewer decides, and no designed voice can be kept.",
    )
    review: Literal["always", "when_doubtful"] = Field(
        default="always",
        description="`when_doubtful`: no reviewer where an automatic transcript check passed, the speaker score is "
        "above the line and no mark was found.",
    )
    review_independent: bool | None = Field(
        default=None,
        description="Refuses a reviewer whose key was made by a key that enrolled, or made one, at any remove: the "
        "operator who hands out keys then neither enrols nor reviews. None: so in profile `cluster`; in `local` one "
        "person may hold both keys, and the evidence says that they depend on each other.",
    )
    cpu_s: float = Field(
        default=120.0, gt=0, description="Processor time that each examiner may take for an answer."
    )
    stall_s: float = Field(
        default=30.0,
        gt=0,
        description="An examiner that neither computes nor answers for so long is given up.",
    )
    timeout_s: float = Field(
        default=1800.0,
        gt=0,
        description="For an answer in all; the last resort on a machine that is very slow.",
    )
    memory_mb: int = Field(default=2048, ge=256, description="What each examiner's process may allocate.")
    idle_s: float = Field(
        default=300.0, gt=0, description="An examiner's process that has nothing to do for so long ends."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.transcript == "http" and self.recogniser is None:
            raise ValueError("transcript: http needs a recogniser")
        if isinstance(self.marks, tuple) and not self.marks:
            raise ValueError("marks is a command of at least one word, `own` or `none`")
        return self

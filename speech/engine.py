"""The seam between an engine and whoever wants speech: requests in, chunks of audio out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from consent_service.grants import DESIGN_VOICE, PRESET_PREFIX, Utterance, VerifiedGrant
from speech.errors import RequestInvalid, UngrantedClone

SAMPLE_RATE: Final = 24_000  # Hz, of everything an engine gives out

Samples: TypeAlias = npt.NDArray[np.float32]  # float32[n], mono, −1…1
Mode: TypeAlias = Literal["clone", "custom", "design"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference recording, in memory only. samples: mono, −1…1, at `sample_rate` Hz.

    `transcript` may be empty: a clone by speaker embedding alone then (x-vector mode).
    """

    samples: Samples = field(repr=False)
    sample_rate: int
    transcript: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32 or self.samples.size == 0:
            raise RequestInvalid("a reference is a non-empty float32 array of one dimension")

    @classmethod
    def from_wav(cls, wav: bytes, transcript: str = "") -> Reference:
        """From a WAV file in memory, mixed down to mono. Raises RequestInvalid."""
        import soundfile

        try:
            samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as exc:
            raise RequestInvalid("the reference is not a WAV file") from exc
        return cls(np.ascontiguousarray(samples.mean(axis=1), dtype=np.float32), int(rate), transcript)


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """Speak in a stored voice. Built only from a grant that was verified for this very utterance (I1)."""

    grant: VerifiedGrant
    utterance: Utterance
    reference: Reference
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.grant, VerifiedGrant):
            raise UngrantedClone("a clone needs a verified grant")
        granted = self.grant.grant
        if not granted.basis.is_clone or granted.said_digest != self.utterance.digest():
            raise UngrantedClone("the grant is not for this utterance")

    @property
    def request_id(self) -> str:
        return self.grant.grant.grant_id

    @property
    def voice_id(self) -> str:
        return self.grant.grant.voice_id


@dataclass(frozen=True, slots=True)
class CustomVoiceRequest:
    """Speak with one of the model's preset speakers."""

    request_id: str
    utterance: Utterance
    speaker: str
    seed: int = 0

    @property
    def voice_id(self) -> str:
        return f"{PRESET_PREFIX}{self.speaker}"


@dataclass(frozen=True, slots=True)
class DesignRequest:
    """Speak in a voice described by `utterance.instruct`."""

    request_id: str
    utterance: Utterance
    seed: int = 0

    @property
    def voice_id(self) -> str:
        return DESIGN_VOICE


SpeechRequest: TypeAlias = CloneRequest | CustomVoiceRequest | DesignRequest


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is; goes into every manifest. model_digest: SHA-256 hex over weights and
    configuration.
    """

    name: str  # "embedded" | "qwen"
    model: str
    model_digest: str
    is_clone: bool  # False: the engine imitates no one, and every manifest says so
    modes: frozenset[Mode]
    languages: tuple[str, ...]  # ISO 639-1
    speakers: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what an operator should know, such as a smaller checkpoint taken


class SpeechStream(Protocol):
    """One running synthesis. Iterate from one thread; `cancel` from any.

    Iteration yields float32 chunks, never empty, and ends when the utterance does. It raises
    SynthesisCancelled (with the code given to `cancel`) or SynthesisFailed; after that, nothing more comes.
    """

    request_id: str

    def __iter__(self) -> Iterator[Samples]: ...

    def cancel(self, code: str = "synthesis_cancelled") -> None:
        """Takes effect at the next chunk at the latest; chunks not yet taken are dropped. Idempotent."""
        ...


@runtime_checkable
class SpeechEngine(Protocol):
    """An engine. One per process; thread-safe; does its work in a thread or process of its own."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def healthy(self) -> bool:
        """False once it can never speak again, and only another engine can: closed, its thread ended, its device
        lost. A load or a frame that takes long, or a request that fails, leaves it True. Any thread; never blocks.
        """
        ...

    def warm_up(self) -> None:
        """Load everything and speak once, so that the first request is not slow. Raises EngineUnavailable."""
        ...

    def start(self, request: SpeechRequest) -> SpeechStream:
        """Queue a request. The same request gives the same samples, whatever else runs.

        Raises ModeUnsupported, SpeakerUnknown or TextError at once; never blocks on synthesis.
        """
        ...

    def cancel_voice(self, voice_id: str, code: str) -> int:
        """Cancel every running or queued request of a voice, drop its cached prompts; returns how many."""
        ...

    def close(self) -> None: ...

"""The bodies of the routes that speak. Parsed here, trusted afterwards; unknown fields are an error."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from consent_service.http.schemas import Id
from provenance.formats.catalogue import NAMES
from provenance.formats.delivery import LOUDEST, QUIETEST
from provenance.loudness import CEILING_DBTP
from speech.text.lexicon import MAX_ENTRIES, MAX_RESPELLING, MAX_WORD

Text = Annotated[
    str,
    Field(
        description="What is to be said; [pause 500ms] is a pause. Brought into canonical form, with numbers in words, "
        "before it is authorised.",
        repr=False,
    ),
]
Instruct = Annotated[str, Field(repr=False)]
Lexicon = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_WORD)],
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_RESPELLING)],
    ],
    Field(
        max_length=MAX_ENTRIES,
        description="Words and how to spell them so that they sound right: {'Nguyen': 'Win'}. Whole words; one "
        "in lower case matches in any case. What is authorised, counted and said is the respelled text.",
    ),
]
Format = Annotated[
    str,
    Field(
        description=f"One of {', '.join(NAMES)}. WAV, MP3, FLAC and M4A (AAC) carry their manifest; that of Ogg "
        "Opus and of raw samples (16 bits, little-endian) is at /v1/clips/{id}/manifest."
    ),
]
SampleRate = Annotated[
    int, Field(description="Hz: 24000 or 16000; mulaw is made at 8000. Omitted: the first.")
]
Loudness = Annotated[
    float,
    Field(
        description=f"Programme loudness in LUFS (EBU R 128), {QUIETEST:g} to {LOUDEST:g}; the true peak stays below "
        f"{CEILING_DBTP:g} dBTP. Omitted: as spoken."
    ),
]
Stream = Annotated[
    bool,
    Field(
        description="Hear it while it is made: pcm, wav, mp3 or opus. A signed token goes before (X-Disclosure-Token); "
        "the manifest is at /v1/clips/{id}/manifest when it has ended."
    ),
]
SpokenDisclaimer = Annotated[
    bool,
    Field(
        description="Begin by saying, in the request's language, that this is an artificial voice. The sentence is "
        "authorised, counted and spoken like the text."
    ),
]
Language = Annotated[
    str, StringConstraints(max_length=32)
]  # an empty one is refused by name, with those there are
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Body(BaseModel):
    # Strict: "false" is not False, where what follows cannot be undone.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Spoken(_Body):
    purpose: Short | None = Field(default=None, description="Needed unless the key may claim just one.")
    territory: Short | None = Field(default=None, description="ISO 3166-1 alpha-2, or WORLD.")
    channel: Short | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="Omitted: derived from the request.")
    response_format: Format = "wav"
    sample_rate: SampleRate | None = None
    loudness: Loudness | None = None
    spoken_disclaimer: SpokenDisclaimer = False
    stream: Stream = False
    lexicon: Lexicon | None = Field(default=None, repr=False)


class VoiceCloneBody(_Spoken):
    """POST /v1/voice-clone"""

    text: Text
    language: Language
    voice_id: Id
    consent_token: Short | None = Field(
        default=None, description="Omitted: the key's default binding.", repr=False
    )
    instruct: Instruct = ""


class VoiceDesignBody(_Spoken):
    """POST /v1/voice-design"""

    text: Text
    language: Language
    instruct: Instruct = Field(description="The voice in words: 'a calm, low voice, unhurried'.")


class CustomVoiceBody(_Spoken):
    """POST /v1/custom-voice"""

    text: Text
    language: Language
    speaker: Id
    instruct: Instruct = ""


class SpeechBody(BaseModel):
    """POST /v1/audio/speech, as OpenAI's clients send it. What follows `stream_format` is ours (`extra_body`).

    Fields this service does not know are refused, so that nobody believes they had an effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    input: Text
    voice: Id | dict[str, Any] = Field(description="A preset speaker or a voice id; {'id': …} too.")
    model: Short = Field(description="Accepted for compatibility; the deployment decides the model.")
    response_format: Format = "mp3"  # OpenAI's default
    speed: float = 1.0
    instructions: Instruct = ""
    stream_format: str = "audio"
    language: Language | None = None
    purpose: Short | None = None
    consent_token: Short | None = Field(default=None, repr=False)
    territory: Short | None = None
    channel: Short | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    sample_rate: SampleRate | None = None
    loudness: Loudness | None = None
    spoken_disclaimer: SpokenDisclaimer = False
    stream: Stream = False
    lexicon: Lexicon | None = Field(default=None, repr=False)


class SpeakableVoice(BaseModel):
    """One entry of /v1/audio/voices."""

    id: str = Field(description="What to send as `voice`.")
    name: str


class SpeakableVoices(BaseModel):
    """GET /v1/audio/voices, in the shape that OpenAI-compatible clients read."""

    voices: list[SpeakableVoice]

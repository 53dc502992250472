"""The formats that a clip can leave in, and what of its marks each of them can carry inside.

The watermarks are in the sound and therefore in all of them. C2PA's manifest is embedded where the C2PA library
embeds it (WAV, MP3, FLAC, M4A) and detached where it does not (Ogg Opus, raw samples).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from provenance.errors import FormatUnsupported


@dataclass(frozen=True, slots=True)
class Codec:
    """How PyAV is asked to encode: names as FFmpeg has them."""

    muxer: str
    encoder: str
    bits_per_sample: float | None = None  # None: lossless
    muxer_options: tuple[tuple[str, str], ...] = ()
    encoder_options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `rates`: the sample rates it is offered at, in Hz; the first is the default."""

    name: str
    media_type: str
    extension: str
    embeds_manifest: bool
    carries_label: bool
    rates: tuple[int, ...]
    codec: Codec | None = None  # None: written here, sample by sample


_WIDE: Final = (24_000, 16_000)
# No frame draws on the bits of others, so that one which is cut or lost spoils no more than itself.
_ALONE: Final = (("reservoir", "0"),)
# The muxer writes keys of our own only when asked to.
_OWN_KEYS: Final = (("movflags", "use_metadata_tags"),)

WAV: Final = Format("wav", "audio/wav", ".wav", True, True, _WIDE)
MULAW: Final = Format("mulaw", "audio/wav", ".wav", True, True, (8_000,))
MP3: Final = Format("mp3", "audio/mpeg", ".mp3", True, True, _WIDE, Codec("mp3", "libmp3lame", 4, (), _ALONE))
FLAC: Final = Format("flac", "audio/flac", ".flac", True, True, _WIDE, Codec("flac", "flac"))
M4A: Final = Format("m4a", "audio/mp4", ".m4a", True, True, _WIDE, Codec("ipod", "aac", 4, _OWN_KEYS))
OPUS: Final = Format("opus", "audio/ogg", ".opus", False, True, _WIDE, Codec("ogg", "libopus", 2))
PCM: Final = Format("pcm", "audio/pcm", ".pcm", False, False, _WIDE)

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {one.name: one for one in (WAV, MP3, FLAC, OPUS, M4A, PCM, MULAW)}
)
# OpenAI's name: AAC travels in an M4A file here, because a bare AAC stream has no room for a manifest.
_ALIASES: Final = MappingProxyType({"aac": "m4a"})
NAMES: Final = (*FORMATS, *_ALIASES)


def format_named(name: str) -> Format:
    """Raises FormatUnsupported, with the names that there are."""
    found = FORMATS.get(_ALIASES.get(name, name))
    if found is None:
        raise FormatUnsupported(f"no such format; there are {', '.join(NAMES)}")
    return found

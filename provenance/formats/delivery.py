"""How a caller wants a clip: format, sample rate, loudness. One value, part of the cache key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provenance.errors import FormatUnsupported
from provenance.formats.catalogue import WAV, Format, format_named

LOUDEST: Final = -10.0  # LUFS: beyond, a voice only distorts
QUIETEST: Final = -36.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """loudness: programme loudness in LUFS (EBU R 128), None leaves the level alone."""

    format: Format = WAV
    sample_rate: int = 24_000
    loudness: float | None = None

    @property
    def key(self) -> str:
        """What tells two deliveries of the same speech apart."""
        level = "" if self.loudness is None else f"@{self.loudness:g}"
        return f"{self.format.name}/{self.sample_rate}{level}"


AS_SPOKEN: Final = Delivery()


def delivery(name: str = "wav", sample_rate: int | None = None, loudness: float | None = None) -> Delivery:
    """From what a caller asks for. Raises FormatUnsupported."""
    form = format_named(name)
    rate = form.rates[0] if sample_rate is None else sample_rate
    if rate not in form.rates:
        offered = " or ".join(str(one) for one in form.rates)
        raise FormatUnsupported(f"{form.name} is made at {offered} Hz", code="sample_rate_unsupported")
    if loudness is not None and not QUIETEST <= loudness <= LOUDEST:
        raise FormatUnsupported(
            f"loudness goes from {QUIETEST:g} to {LOUDEST:g} LUFS", code="loudness_unsupported"
        )
    return Delivery(form, rate, None if loudness is None else float(loudness))

"""The demonstration's stand-in for a person: eSpeak NG, called directly and outside the product.

People bring recordings of their own; a demonstration that ran on any machine cannot. So this program speaks in their
place, in a process of its own, and the evidence of the enrolment says so ("demonstration subject"). Nothing in the
product imports it.

    python -m vouch.demo.subject < {"text": …, "language": "en", "pitch": 40, "rate": 150}  > recording.wav
"""

from __future__ import annotations

import ctypes
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

EVIDENCE: Final = "demonstration subject: a speech synthesiser in place of a person"
_SYNCHRONOUS, _UTF8 = 2, 1
_RATE, _PITCH = 1, 3


@dataclass(frozen=True, slots=True)
class StandIn:
    """One pretended person. pitch 0-99 and rate (words a minute) as eSpeak NG has them."""

    name: str
    pitch: int
    rate: int

    def record(self, text: str, language: str) -> bytes:
        """Speak `text` aloud: a WAV file, in memory only."""
        request = {"text": text, "language": language, "pitch": self.pitch, "rate": self.rate}
        done = subprocess.run(
            [sys.executable, "-m", "vouch.demo.subject"],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=True,
        )
        return done.stdout


def _speak(text: str, language: str, pitch: int, rate: int) -> bytes:
    import espeakng_loader
    import numpy as np
    import soundfile

    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    sample_rate = espeak.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    pieces: list[bytes] = []

    def collect(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(
        collect
    )
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_SetVoiceByName(language.encode())
    espeak.espeak_SetParameter(_RATE, rate, 0)
    espeak.espeak_SetParameter(_PITCH, pitch, 0)
    raw = text.encode() + b"\0"
    espeak.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 1, 0, _UTF8, None, None)
    # A little room noise, as any recording has.
    spoken = np.frombuffer(b"".join(pieces), dtype=np.int16).astype(np.float32) / 32768
    room = np.random.default_rng(0).normal(0, 0.0005, spoken.size).astype(np.float32)
    out = io.BytesIO()
    soundfile.write(out, spoken * 0.8 + room, sample_rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


if __name__ == "__main__":
    sys.stdout.buffer.write(_speak(**json.load(sys.stdin)))

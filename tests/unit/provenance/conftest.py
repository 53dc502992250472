"""Keys made here, audio made here: nothing of these tests comes from another room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from provenance.audio import Samples
from provenance.disclosure import Disclosure
from provenance.stamp import StampedClip, Stamper
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority

RATE = 24_000


class Register:
    """A ProofReader with one answer."""

    def __init__(
        self,
        standing: Standing = Standing.LIVE,
        knows: bool | None = True,
        keys: dict[int, bytes] | None = None,
        clips: dict[WatermarkTag, ClipRecord] | None = None,
        logged_at: float | None = None,
    ) -> None:
        self._standing, self._knows = standing, knows
        self._keys, self._clips = keys or {}, clips or {}
        self._logged_at = logged_at
        self.asked: list[tuple[str, str | None, int | None]] = []

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        self.asked.append((clip_id, consent_id, consent_version))
        return self._standing, 1_800_000_000.0

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return self._knows

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return self._logged_at

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        return self._clips.get(mark)

    def watermark_keys(self) -> dict[int, bytes]:
        return self._keys


def speech_like(seconds: float, seed: int = 1) -> Samples:
    """Gliding harmonics in syllables, and some noise: float32[n], mono, peak 0.3, 24 kHz."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = random.uniform(90, 240) * (1 + 0.2 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = np.sum([np.sin(k * phase) / k**1.2 for k in range(1, 20)], axis=0)
    syllables = np.clip(np.sin(2 * np.pi * 3.3 * time + random.uniform(0, 6)) + 0.6, 0, None)
    sound = voiced * syllables + 0.05 * random.standard_normal(time.size)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def a_disclosure(**changes: object) -> Disclosure:
    return replace(_DISCLOSURE, **changes)  # type: ignore[arg-type]


_DISCLOSURE = Disclosure(
    clip_id="c" * 32,
    voice_id="voice_0123",
    basis="consent",
    consent_id="consent_4567",
    consent_version=2,
    purpose="audiobook",
    language="en",
    generated_at=1_790_000_000.123,
    provider="Example Publishing",
    system_version="0.1.0",
    engine="embedded",
    model="formant",
    model_digest="d" * 64,
    is_clone=False,
    audit_leaf=42,
    checkpoint="vouch.local/log\n43\nAAAA\n\n— vouch.local/log c2ln\n",
)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="session")
def stamper(authority: Authority) -> Stamper:
    return Stamper(authority.signer)


@pytest.fixture(scope="session")
def clip(stamper: Stamper) -> StampedClip:
    return stamper.stamp(speech_like(1.0), RATE, a_disclosure())


@pytest.fixture(scope="session")
def verifier(authority: Authority) -> Verifier:
    return Verifier(authority.root_pem)

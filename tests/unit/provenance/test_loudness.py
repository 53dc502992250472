"""EBU R 128, by the figures that ITU-R BS.1770-4 and EBU Tech 3341 give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from provenance.audio import Samples
from provenance.formats.catalogue import WAV
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery
from provenance.loudness import CEILING_DBTP, measure, normalise
from provenance.stamp import Stamper
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like


def tone(dbfs: float, seconds: float = 5.0, hertz: float = 997.0) -> Samples:
    time = np.arange(int(seconds * RATE)) / RATE
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -33.0])
def test_a_tone_measures_what_the_standard_says(dbfs: float) -> None:
    """One channel at 997 Hz: its level less 3.01 dB, within 0.1 LU (Tech 3341)."""
    found = measure(tone(dbfs), RATE)
    assert found.integrated == pytest.approx(dbfs - 3.01, abs=0.1)
    assert found.true_peak == pytest.approx(dbfs, abs=0.2)


def test_silence_between_words_is_not_counted() -> None:
    speech = speech_like(4.0)
    paused = np.concatenate([speech, np.zeros(20 * RATE, np.float32)])
    assert measure(paused, RATE).integrated == pytest.approx(measure(speech, RATE).integrated, abs=0.3)


@pytest.mark.parametrize("target", [-16.0, -23.0, -30.0])
@pytest.mark.parametrize("seconds", [0.2, 1.0, 8.0])
def test_a_clip_comes_out_as_loud_as_asked(target: float, seconds: float) -> None:
    assert measure(normalise(speech_like(seconds), RATE, target), RATE).integrated == pytest.approx(
        target, abs=0.1
    )


def test_the_true_peak_stays_below_the_ceiling_at_the_price_of_loudness() -> None:
    spiky = speech_like(3.0) * np.float32(0.05)
    spiky[RATE] = 0.9
    found = measure(normalise(spiky, RATE, -14.0), RATE)
    assert found.true_peak <= CEILING_DBTP + 0.1
    assert found.integrated < -14.0


def test_one_gain_for_the_whole_clip() -> None:
    before = speech_like(2.0)
    ratio = normalise(before, RATE, -20.0)[before != 0] / before[before != 0]
    assert ratio.min() == pytest.approx(ratio.max(), rel=1e-5)


def test_silence_is_left_as_it_is() -> None:
    silence = np.zeros(RATE, np.float32)
    assert math.isinf(measure(silence, RATE).integrated)
    assert np.array_equal(normalise(silence, RATE, -16.0), silence)


def test_a_stamped_clip_is_as_loud_as_asked(stamper: Stamper) -> None:
    """Normalised before marking, so that no gain is applied to a mark; the presence mark adds up to 1 LU."""
    clip = stamper.stamp(speech_like(3.0), RATE, a_disclosure(), Delivery(WAV, RATE, -23.0))
    assert measure(decode_own(clip.data, WAV, RATE).samples, RATE).integrated == pytest.approx(-23.0, abs=1.1)

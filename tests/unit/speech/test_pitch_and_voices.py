"""Pitch estimation, and how the embedded engine turns voices into eSpeak NG parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.embedded.pitch import median_pitch
from speech.embedded.voices import (
    SPEAKERS,
    Timbre,
    espeak_voice,
    in_the_manner_of,
    timbre_of_description,
    timbre_of_reference,
)
from speech.engine import Reference
from tests.assets.recordings import hum, reference


@pytest.mark.parametrize("hertz", [70, 110, 155, 220, 300, 400])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_the_pitch_of_a_hum_is_found(hertz: float, sample_rate: int) -> None:
    assert median_pitch(hum(hertz, sample_rate=sample_rate), sample_rate) == pytest.approx(hertz, rel=0.02)


def test_noise_silence_and_a_click_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    assert median_pitch(noise, 24_000) is None
    assert median_pitch(np.zeros(48_000, np.float32), 24_000) is None
    assert median_pitch(np.ones(10, np.float32), 24_000) is None


def test_a_voice_follows_its_reference_in_pitch() -> None:
    for hertz in (90, 140, 250):
        assert timbre_of_reference(reference(hertz)).hertz == pytest.approx(hertz, rel=0.04)


def test_two_people_of_the_same_pitch_are_still_two_voices() -> None:
    one, other = reference(120), Reference(hum(120, level=0.21), 24_000)
    assert timbre_of_reference(one) != timbre_of_reference(other)
    assert timbre_of_reference(one) == timbre_of_reference(reference(120))


def test_an_unvoiced_reference_still_makes_a_voice() -> None:
    whisper = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    assert 80 < timbre_of_reference(Reference(whisper, 24_000)).hertz < 270


def test_words_of_a_description_are_heeded() -> None:
    deep, bright = timbre_of_description("a deep man"), timbre_of_description("a bright young woman")
    assert deep.hertz < 110 < 180 < bright.hertz
    assert timbre_of_description("a woman").hertz > 150, "a wo-man is not a man"
    assert timbre_of_description("speak slowly").pace < timbre_of_description("speak quickly").pace
    assert timbre_of_description("低沉的男声").hertz < timbre_of_description("明亮的女声").hertz


def test_an_instruction_changes_a_speakers_manner() -> None:
    ryan = SPEAKERS["Ryan"]
    assert in_the_manner_of(ryan, "very slowly").pace < ryan.pace
    assert in_the_manner_of(ryan, "excited").liveliness > ryan.liveliness
    assert in_the_manner_of(ryan, "") == ryan


@given(
    st.floats(20, 900), st.floats(0.2, 5), st.integers(5, 99), st.integers(0, 255), st.integers(0, 2**63 - 1)
)
def test_espeak_never_gets_a_parameter_out_of_its_range(
    hertz: float, pace: float, liveliness: int, character: int, seed: int
) -> None:
    voice = espeak_voice(Timbre(hertz, pace, liveliness, character), seed)
    assert 80 <= voice.rate <= 450
    assert 0 <= voice.pitch <= 99
    assert 0 <= voice.range <= 99

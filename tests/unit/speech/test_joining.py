"""Joining: silence trimmed, pauses to the sample, no clicks, and the same samples however they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.engine import SAMPLE_RATE, Samples
from speech.joining import BLOCK_S, GATE, LONGEST_HOLD_S, MARGIN_AFTER_S, MARGIN_BEFORE_S, Joiner

BLOCK = round(BLOCK_S * SAMPLE_RATE)
MARGINS = round((MARGIN_BEFORE_S + MARGIN_AFTER_S) * SAMPLE_RATE)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def tone(seconds: float, level: float = 0.3) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.cos(2 * np.pi * 200 * time)).astype(np.float32)


def noise(rng: np.random.Generator, size: int, level: float) -> Samples:
    return (level * rng.standard_normal(size)).astype(np.float32)


def join(*segments: tuple[Samples, float], chunk: int = 1920) -> Samples:
    joiner = Joiner(SAMPLE_RATE)
    out = []
    for samples, pause_s in segments:
        out += [joiner.feed(samples[at : at + chunk]) for at in range(0, samples.size, chunk)]
        out.append(joiner.end_segment(pause_s))
    return np.concatenate([*out, joiner.finish()])


def largest_step(samples: Samples) -> float:
    return float(np.abs(np.diff(samples, prepend=0.0, append=0.0)).max())


@pytest.mark.parametrize(("lead", "trail"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.4), (1.0, 0.5), (0.02, 0.02)])
def test_silence_at_the_ends_is_trimmed_to_a_margin(lead: float, trail: float) -> None:
    out = join((np.concatenate([silence(lead), tone(1.0), silence(trail)]), 0.0))
    kept = min(lead, MARGIN_BEFORE_S) + 1.0 + min(trail, MARGIN_AFTER_S)
    assert abs(out.size - kept * SAMPLE_RATE) <= BLOCK


def test_silence_inside_stays() -> None:
    spoken = np.concatenate([tone(0.5), silence(1.7), tone(0.5)])
    assert join((spoken, 0.0)).size == spoken.size


@pytest.mark.parametrize("trail", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("pause_s", [0.35, 2.5, 10.0])
def test_a_pause_is_as_long_as_asked_for(pause_s: float, trail: float) -> None:
    """Between the margins of two segments, also where silence had left before it was known to be the end."""
    spoken = np.concatenate([tone(0.5), silence(trail)])
    out = join((spoken, pause_s), (tone(0.5), 0.0))
    quiet = np.flatnonzero(np.abs(out) > GATE)
    gap = int(np.diff(quiet).max())
    leaked = max(0.0, trail - LONGEST_HOLD_S - MARGIN_AFTER_S)
    wanted = max(pause_s, leaked) + min(trail, MARGIN_AFTER_S)
    assert abs(gap - wanted * SAMPLE_RATE) <= 3 * BLOCK


@pytest.mark.parametrize("pause_s", [0.0, 0.2])
def test_seams_do_not_click(pause_s: float) -> None:
    """Segments that begin and end at full swing."""
    out = join((tone(0.3), pause_s), (-tone(0.3), pause_s), (tone(0.3), 0.0))
    assert largest_step(tone(0.3)) > 0.2
    assert largest_step(out) < 1.2 * float(np.abs(np.diff(tone(0.3))).max())


def test_speech_leaves_at_once() -> None:
    joiner = Joiner(SAMPLE_RATE)
    spoken = tone(2.0)
    for at in range(0, spoken.size, 1920):
        given_out = joiner.feed(spoken[at : at + 1920])
        assert given_out.size >= 1920 - 2 * BLOCK


def test_no_more_is_held_than_half_a_second() -> None:
    joiner = Joiner(SAMPLE_RATE)
    out = joiner.feed(np.concatenate([tone(0.5), silence(3.0)]))
    assert out.size >= round((3.5 - LONGEST_HOLD_S) * SAMPLE_RATE) - BLOCK


def test_a_segment_of_silence_gives_its_pause_and_no_more() -> None:
    assert join((silence(3.0), 0.5)).size == round(0.5 * SAMPLE_RATE)
    assert join((silence(0.0), 0.5)).size == round(0.5 * SAMPLE_RATE)


def test_what_is_between_fades_is_untouched() -> None:
    spoken = tone(1.0)
    out = join((spoken, 0.0))
    assert np.array_equal(out[BLOCK:-BLOCK], spoken[BLOCK:-BLOCK])


def test_a_finished_utterance_takes_no_more() -> None:
    joiner = Joiner(SAMPLE_RATE)
    joiner.finish()
    with pytest.raises(ValueError):
        joiner.feed(tone(0.1))


segment = st.lists(st.tuples(st.booleans(), st.integers(0, 20_000)), max_size=6)
cuts = st.lists(st.integers(1, 9_000), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(segment, max_size=3), cuts, st.sampled_from([0.0, 0.1, 1.0]))
def test_the_samples_do_not_depend_on_the_chunks(
    segments: list[list[tuple[bool, int]]], sizes: list[int], pause_s: float
) -> None:
    rng = np.random.default_rng(len(segments))
    spoken = [
        np.concatenate([silence(0), *(noise(rng, size, 0.1 if loud else 1e-4) for loud, size in parts)])
        for parts in segments
    ]
    joiner, out = Joiner(SAMPLE_RATE), [silence(0)]
    for samples in spoken:
        at, turn = 0, 0
        while at < samples.size:
            size = sizes[turn % len(sizes)]
            out.append(joiner.feed(samples[at : at + size]))
            at, turn = at + size, turn + 1
        out.append(joiner.end_segment(pause_s))
    out.append(joiner.finish())
    whole = join(*((samples, pause_s) for samples in spoken), chunk=10**9) if spoken else silence(0)
    assert np.array_equal(np.concatenate(out), whole)

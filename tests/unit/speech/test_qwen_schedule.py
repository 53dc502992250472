"""Deadlines: what is promised to a stream that plays, by arithmetic alone."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from speech.qwen.schedule import (
    FRAME_S,
    PIECES,
    Costs,
    Playback,
    chunk_frames,
    largest_piece,
    may_admit,
    may_prefill,
)


def playing(given_s: float, began: float = 0.0) -> Playback:
    return Playback(arrived=0.0, began=began, given_s=given_s)


def costs(*, frame: float = 0.02, prefill: float = 0.05, codec: float = 0.01) -> Costs:
    known = Costs()
    known.framed(8, frame)
    known.prefilled(prefill)
    known.decoded(codec)
    return known


def test_a_newcomer_waits_while_a_listener_is_about_to_run_dry() -> None:
    assert not may_prefill([playing(1.05)], costs(), 8, now=1.0)
    assert may_prefill([playing(1.20)], costs(), 8, now=1.0)
    assert not may_prefill([playing(9.0), playing(1.05)], costs(), 8, now=1.0)


def test_a_listener_who_ran_dry_holds_nobody_up() -> None:
    assert may_prefill([playing(0.9)], costs(), 8, now=1.0)
    assert may_admit([playing(0.9)], costs(frame=1.0), 8, now=1.0)


def test_a_slot_is_given_only_while_frames_keep_up() -> None:
    listeners = [playing(2.0)]
    assert may_admit(listeners, costs(frame=0.5 * FRAME_S), 8, now=1.0)
    assert not may_admit(listeners, costs(frame=1.1 * FRAME_S), 8, now=1.0)
    assert may_admit([], costs(frame=1.1 * FRAME_S), 8, now=1.0)
    assert may_admit(listeners, Costs(), 8, now=1.0), "what was never measured is tried"


def test_a_wait_of_the_listener_is_an_underrun_and_starts_the_clock_again() -> None:
    stream = Playback(arrived=0.0)
    stream.gave(1.0, now=5.0)
    stream.gave(1.0, now=5.5)
    assert (stream.underruns, stream.deadline) == (0, 7.0)
    stream.gave(1.0, now=8.0)
    assert (stream.underruns, stream.deadline) == (1, 9.0)


def test_the_first_chunk_is_one_frame_and_later_ones_grow() -> None:
    given, chunks = 0, []
    for _ in range(6):
        chunks.append(chunk_frames(given))
        given += chunks[-1]
    assert chunks == [1, 1, 2, 4, 8, 8]


@given(st.integers(0, 500))
def test_whatever_is_left_is_cut_into_pieces(left: int) -> None:
    pieces = []
    while piece := largest_piece(left):
        pieces.append(piece)
        left -= piece
    assert left == 0
    assert set(pieces) <= set(PIECES)
    assert pieces == sorted(pieces, reverse=True)


@given(st.lists(st.floats(0.001, 0.02), min_size=1, max_size=20), st.floats(0.01, 0.3))
def test_running_streams_never_wait_for_newcomers(frames: list[float], prefill: float) -> None:
    """A device that does one thing after another; a newcomer's prompt is always waiting to be read."""
    now, known, stream = 0.0, Costs(), Playback(arrived=0.0)
    known.frame[8], known.prefill = max(frames), prefill  # estimates on the safe side
    handed = 0
    for made, frame_s in enumerate(itertools.islice(itertools.cycle(frames), 200), 1):
        if stream.began is not None and may_prefill([stream], known, 8, now):
            now += prefill
        now += frame_s
        stream.missing = chunk_frames(handed) - (made - handed)
        if stream.missing == 0:
            stream.gave((made - handed) * FRAME_S, now)
            handed = made
            stream.missing = chunk_frames(handed)
    assert stream.underruns == 0

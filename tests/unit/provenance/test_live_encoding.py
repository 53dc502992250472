"""Streams: encoded while they are made, the same bytes however the sound is divided, decodable from the first on."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import FormatUnsupported
from provenance.formats.catalogue import FORMATS
from provenance.formats.delivery import Delivery, delivery
from provenance.formats.live import LIVE, live_encoder
from tests.unit.provenance.conftest import speech_like

RATE = 24_000
LABEL = '{"Label":"1"}'
SAMPLES = speech_like(1.5)
STREAMED = [delivery(form.name, rate) for form in LIVE for rate in (24_000, 16_000)]


def encoded(wanted: Delivery, sizes: list[int]) -> list[bytes]:
    encoder, parts, at = live_encoder(wanted, RATE, LABEL), [], 0
    for size in sizes:
        parts.append(encoder.feed(SAMPLES[at : at + size]))
        at += size
    return [*parts, encoder.feed(SAMPLES[at:]), encoder.flush()]


@pytest.mark.parametrize("wanted", STREAMED, ids=lambda one: one.key)
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 9_000), max_size=12))
def test_however_the_sound_is_divided_the_bytes_are_the_same(wanted: Delivery, sizes: list[int]) -> None:
    assert b"".join(encoded(wanted, sizes)) == b"".join(encoded(wanted, []))


@pytest.mark.parametrize(
    "wanted", [one for one in STREAMED if one.format.name != "pcm"], ids=lambda one: one.key
)
def test_a_stream_can_be_played_and_says_what_it_is_before_its_first_sound(wanted: Delivery) -> None:
    parts = encoded(wanted, [4_800] * 4)
    assert LABEL.encode() in parts[0], "the label goes before"
    with av.open(io.BytesIO(b"".join(parts))) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    assert abs(heard.size - SAMPLES.size) < 0.1 * RATE


@pytest.mark.parametrize("wanted", STREAMED, ids=lambda one: one.key)
def test_what_was_fed_has_left_but_for_the_encoders_look_ahead(wanted: Delivery) -> None:
    half = SAMPLES[: SAMPLES.size // 2]
    encoder = live_encoder(wanted, RATE, LABEL)
    early = encoder.feed(half)
    late = encoder.flush()
    assert len(early) > 3 * len(late)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {form.name for form in LIVE}))
def test_what_needs_its_end_to_be_written_is_refused(name: str) -> None:
    with pytest.raises(FormatUnsupported, match="streamed"):
        live_encoder(delivery(name), RATE, LABEL)


def test_a_stream_has_no_loudness_to_offer() -> None:
    with pytest.raises(FormatUnsupported, match="loudness"):
        live_encoder(delivery("pcm", loudness=-23.0), RATE, LABEL)

"""The keyed watermark: read again by its key and by no other, whatever ordinary handling did to the clip."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.audio import Samples
from provenance.keyed.detect import EVIDENCE, Reader
from provenance.keyed.embed import LOOKAHEAD, Embedder, embed
from provenance.keyed.pattern import CELL_BINS, LEVEL_DB, ROW_GAINS_DB, Pattern
from tests.unit.provenance.conftest import RATE, speech_like

KEY = hashlib.sha256(b"an epoch's key").digest()
TAG = 0x5A17C3


@pytest.fixture(scope="module")
def pattern() -> Pattern:
    return Pattern(KEY)


@pytest.fixture(scope="module")
def reader(pattern: Pattern) -> Reader:
    return Reader(pattern)


@pytest.fixture(scope="module")
def marked(pattern: Pattern) -> Samples:
    return embed(speech_like(4.0, seed=11), pattern, TAG)


def mp3(samples: Samples) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    file.seek(0)
    decoded: Samples = soundfile.read(file, dtype="float32")[0]
    return decoded


def noisy(samples: Samples) -> Samples:
    noise = np.random.default_rng(3).standard_normal(samples.size).astype(np.float32)
    return samples + noise * np.sqrt(np.square(samples).mean() / 100)


HANDLED = {
    "as it left": lambda samples: samples,
    "quieter": lambda samples: samples * np.float32(0.3),
    "cut to three seconds": lambda samples: samples[17_001 : 17_001 + 3 * RATE],
    "at the sample rate of a telephone": lambda samples: soxr.resample(
        soxr.resample(samples, RATE, 8_000), 8_000, RATE
    ),
    "as an MP3": mp3,
    "in noise at 20 dB": noisy,
    "played 5 % faster": lambda samples: soxr.resample(samples, RATE * 1.05, RATE),
    "played 5 % slower": lambda samples: soxr.resample(samples, RATE * 0.95, RATE),
}


@pytest.mark.parametrize("how", HANDLED)
def test_a_tag_survives_ordinary_handling(how: str, marked: Samples, reader: Reader) -> None:
    found = reader.read(np.asarray(HANDLED[how](marked), np.float32))
    assert found is not None
    assert found.sure
    assert found.tag == TAG


def test_another_key_reads_nothing(marked: Samples) -> None:
    assert Reader(Pattern(hashlib.sha256(b"another").digest())).read(marked) is None


@pytest.mark.parametrize("seed", range(3))
def test_an_unmarked_clip_carries_no_tag(seed: int, reader: Reader) -> None:
    assert reader.read(speech_like(3.0, seed=seed)) is None


@pytest.mark.parametrize("samples", [np.zeros(3 * RATE, np.float32), np.ones(3 * RATE, np.float32)])
def test_silence_and_direct_current_carry_no_tag(samples: Samples, reader: Reader) -> None:
    assert reader.read(samples) is None


@pytest.mark.parametrize("length", [0, 1, 255, 256, 1_023, 1_024, 5_000])
def test_a_clip_too_short_to_tell_carries_no_tag_and_keeps_its_length(
    length: int, pattern: Pattern, reader: Reader
) -> None:
    samples = embed(speech_like(1.0)[:length], pattern, TAG)
    assert samples.size == length
    assert reader.read(samples) is None


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 5_000), max_size=12))
def test_marking_chunk_by_chunk_gives_what_marking_the_file_gives(sizes: list[int]) -> None:
    samples, pattern, given_out = speech_like(1.0), Pattern(KEY), 0
    embedder, parts = Embedder(pattern, TAG), []
    for chunk in [*np.split(samples, np.minimum(np.cumsum(sizes), samples.size))]:
        parts.append(embedder.feed(chunk))
        given_out += chunk.size
        assert sum(map(len, parts)) >= given_out - LOOKAHEAD - 256
    parts.append(embedder.flush())
    np.testing.assert_allclose(np.concatenate(parts), embed(samples, pattern, TAG), atol=1e-6)


def test_the_mark_turns_no_bin_further_than_its_gain(pattern: Pattern) -> None:
    turned = 20 * np.log10(pattern.gains(TAG)) - LEVEL_DB
    assert (np.abs(turned).max(axis=0) <= ROW_GAINS_DB.repeat(CELL_BINS) + 1e-4).all()


def test_silence_stays_silent(pattern: Pattern) -> None:
    assert not embed(np.zeros(RATE, np.float32), pattern, TAG).any()


def test_two_tags_share_their_synchronisation_and_nothing_else(pattern: Pattern) -> None:
    ours, theirs = pattern.cells(TAG).ravel(), pattern.cells(TAG ^ 0xFFFFFF).ravel()
    np.testing.assert_array_equal(ours[pattern.sync_cells], theirs[pattern.sync_cells])
    for cells in pattern.symbol_cells:
        assert abs(float(np.mean(ours[cells] * theirs[cells]))) < 0.15


def test_a_pattern_is_the_same_for_ever() -> None:
    # Clips are out that carry it: a change here would make them unreadable.
    cells = Pattern(bytes(range(32))).cells(0xABCDEF).astype(np.int8)
    assert hashlib.sha256(cells.tobytes()).hexdigest() == KNOWN_CELLS


KNOWN_CELLS = "854ad563ceeb7afaba42ddec29c5e7a962480af7312c5efe4cdf3064c6fd38ae"


def test_evidence_is_beyond_what_chance_reaches() -> None:
    """The bound that `detect` states: union over all that is tried, of three squared sub-Gaussian statistics."""
    tried = 841 * 256 * 4096.0**2
    # P(chi-squared with 3 degrees of freedom > t²) for large t.
    tail = np.sqrt(2 / np.pi) * EVIDENCE * np.exp(-(EVIDENCE**2) / 2) * (1 + 1 / EVIDENCE**2)
    assert tried * tail < 1e-5


@pytest.mark.parametrize("tag", [-1, 1 << 24])
def test_a_tag_has_24_bits(tag: int, pattern: Pattern) -> None:
    with pytest.raises(ValueError, match="24 bits"):
        pattern.cells(tag)


def test_a_key_has_32_bytes_and_is_shown_nowhere() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pattern(b"short")
    assert repr(Pattern(KEY)) == "Pattern(…)"

"""The streaming codec gives the samples of upstream's full decode, however codes arrive and whoever else speaks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from speech.qwen.codec import StreamingCodec
from speech.qwen.codec_wave import squared_sine
from tests.assets.codecs import (
    BINS,
    TOLERANCE,
    WINDOW,
    at,
    build,
    close,
    codes,
    every_part,
    streaming,
    whole,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def upstream() -> Any:
    return every_part()


@pytest.fixture(scope="module")
def tiny() -> Any:
    """As in the tiny checkpoints: the published window of 72 frames."""
    return build()


def piecewise(codec: StreamingCodec, spoken: Any, pieces: Iterator[int], slot: int = 0) -> Any:
    heard, start = [], 0
    while start < spoken.shape[-1]:
        piece = spoken[..., start : start + next(pieces)]
        heard.append(codec.decode(piece, at(slot)))
        start += piece.shape[-1]
    return torch.cat(heard, dim=-1)


def random_pieces() -> Iterator[int]:
    chance = random.Random(1)
    while True:
        yield chance.choice((1, 1, 2, 3, 7, 2 * WINDOW))


PIECES: dict[str, Callable[[], Iterator[int]]] = {
    "frame by frame": lambda: itertools.repeat(1),
    "growing": lambda: itertools.count(1),
    "at random": random_pieces,
    "all at once": lambda: itertools.repeat(1000),
}


@pytest.mark.slow
@pytest.mark.parametrize("cut", PIECES)
def test_any_cut_into_pieces_gives_the_full_decode(upstream: Any, cut: str) -> None:
    spoken = codes(45)
    close(piecewise(streaming(upstream), spoken, PIECES[cut]()), whole(upstream, spoken))


def test_a_stream_beyond_the_window_of_72_frames_gives_the_full_decode(tiny: Any) -> None:
    spoken = codes(170)
    close(piecewise(streaming(tiny), spoken, PIECES["at random"]()), whole(tiny, spoken))


def test_streams_that_join_late_share_a_batch(upstream: Any) -> None:
    long, short = codes(30, seed=1), codes(18, seed=2)
    codec = streaming(upstream)
    before = codec.decode(long[..., :12], at(2))
    together = codec.decode(torch.cat((short, long[..., 12:])), at(0, 2))
    close(torch.cat((before, together[1:]), dim=-1), whole(upstream, long))
    close(together[:1], whole(upstream, short))


def test_who_else_speaks_changes_nothing(upstream: Any) -> None:
    spoken = codes(20, seed=3)
    alone = piecewise(streaming(upstream), spoken, itertools.repeat(5))
    codec, heard = streaming(upstream), []
    for start in range(0, 20, 5):
        others = codes(5, seed=100 + start, batch=2)
        heard.append(codec.decode(torch.cat((others, spoken[..., start : start + 5])), at(2, 0, 1))[2:])
    close(torch.cat(heard, dim=-1), alone)


def test_a_call_that_fails_changes_nothing_and_can_be_made_again(
    upstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory in the last layer, with the transformer long done."""
    spoken, codec = codes(30, seed=6), streaming(upstream)
    before = codec.decode(spoken[..., :12], at(1))
    with monkeypatch.context() as patched:
        patched.setattr(codec._vocoder, "stages", (*codec._vocoder.stages[:-1], None))
        with pytest.raises(TypeError):
            codec.decode(spoken[..., 12:], at(1))
    again = codec.decode(spoken[..., 12:], at(1))
    close(torch.cat((before, again), dim=-1), whole(upstream, spoken))


def test_a_reused_slot_holds_nothing_of_the_voice_before(upstream: Any) -> None:
    codec, fresh = streaming(upstream), streaming(upstream)
    codec.prime(1, codes(25, seed=4)[0])
    codec.decode(codes(15, seed=5), at(1))
    codec.decode(codes(15, seed=6), at(2))
    neighbour = [part[2].clone() for part in (codec._positions, codec._tapes)]
    codec.reset(1)
    assert not codec._positions[1]
    assert not codec._tapes[1].any()
    assert not codec._rings[:, :, 1].any()
    assert all(
        torch.equal(a, b) for a, b in zip(neighbour, (codec._positions[2], codec._tapes[2]), strict=True)
    )
    spoken = codes(12, seed=7)
    assert torch.equal(codec.decode(spoken, at(1)), fresh.decode(spoken, at(1))), (
        "the voice before bleeds through"
    )


def test_a_slot_that_held_no_numbers_is_clean_after_a_reset(upstream: Any) -> None:
    codec = streaming(upstream)
    codec._tapes[0] = codec._rings[:, :, 0] = torch.nan
    codec.reset(0)
    spoken = codes(3)
    close(codec.decode(spoken, at(0)), whole(upstream, spoken))


@pytest.mark.parametrize("reference_frames", [1, 5, 60])
def test_a_primed_stream_continues_its_reference(upstream: Any, reference_frames: int) -> None:
    reference, spoken = codes(reference_frames, seed=8), codes(14, seed=9)
    codec = streaming(upstream)
    codec.prime(0, reference[0])
    expected = whole(upstream, torch.cat((reference, spoken), dim=-1))
    heard = piecewise(codec, spoken, itertools.repeat(4))
    close(heard, expected[:, reference_frames * codec.samples_per_frame :])


def test_priming_leaves_the_state_of_a_decode(upstream: Any) -> None:
    reference = codes(40, seed=10)
    codec = streaming(upstream)
    codec.prime(0, reference[0])
    codec.decode(reference, at(1))
    for state in (codec._tapes, codec._rings.transpose(0, 2)):
        assert (state[0] - state[1]).abs().max() < TOLERANCE * state.abs().max()
    assert codec._positions.tolist() == [40, 40, 0, 0]


def test_the_idle_slot_fills_a_batch_without_a_trace(upstream: Any) -> None:
    spoken = codes(6, seed=11)
    codec = streaming(upstream)
    padded = torch.cat((spoken, torch.zeros_like(spoken), torch.zeros_like(spoken)))
    for start in (0, 3):
        heard = codec.decode(padded[..., start : start + 3], at(1, codec.idle, codec.idle))[:1]
        close(heard, whole(upstream, spoken)[:, start * 1920 : (start + 3) * 1920])
    assert codec._positions[:3].tolist() == [0, 6, 0]


def test_codes_out_of_range_are_taken_for_the_nearest_one(upstream: Any) -> None:
    """On a GPU, an index out of range would end the process with every stream in it."""
    wild = codes(2)
    wild[0, 0, 0], wild[0, 5, 1] = BINS + 900, -3
    codec = streaming(upstream)
    assert torch.equal(codec.decode(wild, at(0)), codec.decode(wild.clamp(0, BINS - 1), at(1)))


def test_the_memory_of_a_slot_is_what_it_says(upstream: Any) -> None:
    def held(slots: int) -> int:
        codec = streaming(upstream, slots)
        return sum(
            part.numel() * part.element_size() for part in (codec._positions, codec._tapes, codec._rings)
        )

    assert streaming(upstream).bytes_per_slot == held(6) - held(5)


def test_upstreams_weights_stay_as_they_were(upstream: Any) -> None:
    before = {name: weight.clone() for name, weight in upstream.state_dict().items()}
    codec = StreamingCodec(upstream, slots=1, device="cpu", dtype=torch.bfloat16)
    heard = codec.decode(codes(4), at(0))
    assert heard.dtype == torch.float32
    assert torch.isfinite(heard).all()
    for name, weight in upstream.state_dict().items():
        assert torch.equal(weight, before[name]), name


@pytest.mark.slow
def test_a_step_is_one_graph(upstream: Any) -> None:
    """No break and no branch on data: what a compiler and a CUDA graph need."""
    torch.compiler.reset()
    step = torch.compile(streaming(upstream).step, backend="aot_eager", fullgraph=True, dynamic=False)
    spoken = codes(2, batch=2)
    with torch.inference_mode():
        close(step(spoken, at(0, 1)), whole(upstream, spoken))


@pytest.mark.parametrize("span", [0.1, 3.0, 100.0])
def test_the_squared_sine_is_one(span: float) -> None:
    """As near as float32 knows where in its period it is."""
    x = torch.linspace(-span, span, 100_001)
    expected = x.double().sin().square()
    assert (squared_sine(x) - expected).abs().max() < 2e-7 * (1 + span)
    assert squared_sine(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.slow
def test_upstreams_own_pieces_differ_from_its_whole(tiny: Any) -> None:
    """Beyond 300 frames the package decodes in pieces of 300 with 25 frames of context. We give the whole."""
    spoken = codes(330, seed=12)
    with torch.inference_mode():
        pieces = tiny.chunked_decode(spoken).squeeze(1)
    expected, border = whole(tiny, spoken), 300 * 1920
    close(pieces[:, :border], expected[:, :border])
    assert (pieces[:, border:] - expected[:, border:]).abs().max() > TOLERANCE
    close(piecewise(streaming(tiny), spoken, itertools.repeat(50)), expected)


@pytest.mark.long
def test_the_published_shape_gives_the_full_decode() -> None:
    shape = {
        "codebook_size": BINS,
        "codebook_dim": 512,
        "latent_dim": 1024,
        "hidden_size": 1024,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 64,
        "intermediate_size": 3072,
        "num_hidden_layers": 8,
        "decoder_dim": 1536,
        "sliding_window": 72,
    }
    decoder = build(**shape)
    reference, spoken = codes(20, seed=13), codes(80, seed=14)
    codec = streaming(decoder, slots=2)
    codec.prime(1, reference[0])
    expected = whole(decoder, torch.cat((reference, spoken), dim=-1))
    close(piecewise(codec, spoken, PIECES["at random"](), slot=1), expected[:, 20 * 1920 :])

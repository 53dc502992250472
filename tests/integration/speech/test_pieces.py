"""A piece that was made ready sounds like upstream's decode, and keeps nothing of the voice that it said."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from speech.qwen.codec import StreamingCodec
from speech.qwen.compiling import has_compiler
from speech.qwen.pieces import Pieces
from tests.assets.codecs import at, close, codes, every_part, streaming, whole


@pytest.fixture(scope="module")
def upstream() -> Any:
    return every_part()


@pytest.mark.timeout(900)  # the compiler, on a busy machine
@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler")
def test_a_compiled_piece_is_upstreams_decode(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = streaming(upstream)
    pieces = Pieces(codec)
    pieces.warm_up([1], [4], compile=True)
    assert pieces.compile_s > 0
    spoken = codes(33)
    heard = []
    for piece in spoken[..., :28].split(4, dim=-1):
        with monkeypatch.context() as closed:
            closed.setattr(StreamingCodec, "step", never)
            heard.append(pieces.decode(piece, at(1)))
        assert not voice(pieces)
    heard += [pieces.decode(piece, at(1)) for piece in spoken[..., 28:].split((1, 4), dim=-1)]
    close(torch.cat(heard, dim=-1), whole(upstream, spoken))
    assert codec._positions[:3].tolist() == [0, 33, 0]
    for slot in (0, 2):
        assert not codec._tapes[slot].any()
        assert not codec._rings[:, :, slot].any()

    left = weakref.ref(codec._tapes)  # a slot is a voice; and the smaller checkpoint may need its room
    del codec, pieces
    gc.collect()
    assert left() is None


@pytest.mark.timeout(900)
@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler")
def test_a_second_codec_shares_what_was_compiled_for_the_first(upstream: Any) -> None:
    """However many slots it has: torch.compile gives up at the ninth version of a function."""
    compiled = []
    for slots in (3, 5):
        pieces = Pieces(streaming(upstream, slots))
        torch._dynamo.utils.counters.clear()
        pieces.warm_up([1], [4], compile=True)
        compiled.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert compiled[-1] == 0


def test_a_captured_piece_is_upstreams_decode(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, captures = streaming(upstream), on_cuda(monkeypatch)
    pieces = Pieces(codec)
    pieces.warm_up([1, 2, 3], [1, 4], compile=False)
    assert captures == ["pool"] * 6, "graphs share their memory"
    first, second, third = (codes(12, seed) for seed in (1, 2, 3))
    heard: list[Tensor] = [pieces.decode(first[..., :4], at(2))]
    with monkeypatch.context() as closed:
        closed.setattr(codec, "decode", never)
        for start in (0, 4):
            piece = slice(start, start + 4)
            together = torch.cat((first[..., start + 4 : start + 8], second[..., piece], third[..., piece]))
            sounds = pieces.decode(together, at(2, 0, 1))
            heard.append(sounds[:1])
            assert not voice(pieces)
    close(torch.cat(heard, dim=-1), whole(upstream, first))
    assert len(captures) == 6, "what was warmed up is not captured again"


def test_rows_that_fill_a_batch_are_nobodys(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = streaming(upstream)
    on_cuda(monkeypatch)
    pieces = Pieces(codec)
    pieces.warm_up([3], [4], compile=False)
    spoken = codes(8)
    heard = [pieces.decode(piece, at(1)) for piece in spoken.split(4, dim=-1)]
    assert [tuple(sound.shape) for sound in heard] == [(1, 4 * 1920)] * 2
    close(torch.cat(heard, dim=-1), whole(upstream, spoken))
    assert codec._positions[:3].tolist() == [0, 8, 0]


def test_a_piece_that_fails_keeps_no_voice(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = streaming(upstream)
    on_cuda(monkeypatch)
    pieces = Pieces(codec)
    pieces.warm_up([2], [4], compile=False)
    with monkeypatch.context() as broken:
        broken.setattr(codec, "step", never)
        with pytest.raises(AssertionError):
            pieces.decode(codes(4, batch=2), at(0, 1))
    assert not voice(pieces)
    spoken = codes(4)
    close(pieces.decode(spoken, at(0)), whole(upstream, spoken))
    assert codec._positions[:3].tolist() == [4, 0, 0]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_cannot_be_made_ready_is_decoded_as_it_comes(
    upstream: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Callable[[], Tensor]:
        raise RuntimeError("no such instruction")

    if device == "cuda":
        on_cuda(monkeypatch)
    monkeypatch.setattr("speech.qwen.pieces.capture", refuse)
    monkeypatch.setattr("speech.qwen.pieces.has_compiler", lambda _: True)
    monkeypatch.setattr(torch, "compile", refuse)
    pieces, spoken = Pieces(streaming(upstream)), codes(4)
    pieces.warm_up([1], [4], compile=True)
    close(pieces.decode(spoken, at(0)), whole(upstream, spoken))


def test_memory_that_is_missing_is_not_a_missing_compiler(
    upstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller checkpoint may be wanted then."""

    def full(*_: object, **__: object) -> Callable[[], Tensor]:
        raise torch.cuda.OutOfMemoryError

    on_cuda(monkeypatch)
    monkeypatch.setattr("speech.qwen.pieces.capture", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        Pieces(streaming(upstream)).warm_up([1], [4], compile=True)


def on_cuda(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A stand-in for captures (`graphs.capture` is tested with frames): the pools that were captured into."""
    pools: list[object] = []

    def capture(call: Callable[[], Tensor], pool: object) -> Callable[[], Tensor]:
        pools.append(pool)
        with torch.inference_mode():
            out = call()

        def replay() -> Tensor:
            return out.copy_(call())

        return replay

    monkeypatch.setattr(StreamingCodec, "device", torch.device("cuda"))
    monkeypatch.setattr("speech.qwen.pieces.capture", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    return pools


def voice(pieces: Pieces) -> bool:
    """Whether anything is left in what the pieces read and write."""
    kept = [tensor for piece in pieces._ready.values() for tensor in (piece.codes, *piece.voice)]
    idle = all((piece.slots == pieces._codec.idle).all() for piece in pieces._ready.values())
    return any(bool(tensor.any()) for tensor in kept) or not idle


def never(*_: object) -> Tensor:
    raise AssertionError("not past this door")

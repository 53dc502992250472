"""Choosing codes: as `transformers` does it, from noise that a request alone decides."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare, kstest
from torch import Tensor

from speech.qwen.sampling import Choice, Draws, Stream, choose, gumbel, mix, penalise

VOCABULARY = 64


def logits(seed: int = 0, rows: int = 1) -> Tensor:
    return 2 * torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def drawn(
    scores: Tensor, *, temperature: float, top_k: int, top_p: float, noise: float = 1.0, times: int = 20_000
) -> Counter[int]:
    rates = torch.tensor([[temperature, top_p, noise]]).expand(times, 3)
    draws = Draws(rates, torch.full((times, 1), top_k))
    stream = Stream(
        torch.stack((torch.arange(times), torch.zeros(times, dtype=torch.int64)), 1),
        torch.zeros(times, dtype=torch.int64),
        16,
    )
    codes, _ = choose(
        scores.expand(times, -1), Choice(50, nucleus=True), draws, stream.key(torch.tensor([3]))
    )
    return Counter(codes.tolist())


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(0.9, 50, 2.0), (0.9, 10, 2.0), (1.0, 50, 0.8), (0.5, 5, 0.9), (1.5, 1, 2.0), (1.0, 50, 1e-9)],
)
def test_codes_are_drawn_from_the_distribution_of_transformers(
    temperature: float, top_k: int, top_p: float
) -> None:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    scores = logits()
    warped = TopKLogitsWarper(top_k)(None, TemperatureLogitsWarper(temperature)(None, scores))
    if top_p <= 1:
        warped = TopPLogitsWarper(top_p)(None, warped)
    likely = warped.softmax(-1)[0].double()
    counted = drawn(scores, temperature=temperature, top_k=top_k, top_p=top_p)
    support = {int(code) for code in likely.nonzero()}
    assert set(counted) <= support
    times = sum(counted.values())
    often = [code for code in support if likely[code] * times >= 5]
    if len(often) > 1:
        share = likely[often] / likely[often].sum()
        seen = [counted[code] for code in often]
        assert chisquare(seen, (share * sum(seen)).numpy()).pvalue > 0.001


def test_without_noise_the_likeliest_code_is_taken() -> None:
    scores = logits(3)
    counted = drawn(scores, temperature=1.0, top_k=50, top_p=2.0, noise=0.0, times=10)
    assert counted == {int(scores.argmax()): 10}


def test_rows_are_drawn_by_their_own_parameters() -> None:
    scores = logits(1).expand(2, -1)
    rates = torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]])
    seed = torch.tensor([[1, 0], [1, 0]])
    takes = set()
    for frame in range(20):
        key = Stream(seed, torch.tensor([frame, frame]), 16).key(torch.tensor([0]))
        codes, _ = choose(scores, Choice(50), Draws(rates, torch.tensor([[50], [50]])), key)
        assert codes[0] == scores[0].argmax()
        takes.add(int(codes[1]))
    assert len(takes) > 3


def test_repetition_is_penalised_as_in_transformers() -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    scores, said = logits(2), torch.tensor([[3, 5, 5, 60]])
    seen = torch.zeros(1, VOCABULARY, dtype=torch.bool).index_fill_(1, said[0], True)
    expected = RepetitionPenaltyLogitsProcessor(1.05)(said, scores.clone())
    torch.testing.assert_close(penalise(scores, seen, torch.tensor([[1.05]])), expected, rtol=0, atol=0)


def test_what_is_no_number_has_no_finite_lead() -> None:
    scores = logits(0, rows=3)
    scores[1, 7] = torch.nan
    draws = Draws(torch.tensor([[1.0, 2.0, 1.0]]).expand(3, 3), torch.full((3, 1), 50))
    key = torch.zeros(3, 1, dtype=torch.int64)
    for measured in (False, True):
        _, leads = choose(scores, Choice(50, measured=measured), draws, key)
        assert leads.isfinite().tolist() == [True, False, True]


def test_noise_is_gumbels_and_differs_in_every_coordinate() -> None:
    key = torch.arange(2000)[:, None]
    noise = gumbel(mix(key), torch.arange(8)[None])
    assert noise.isfinite().all()
    assert kstest(noise.flatten().numpy(), "gumbel_r").pvalue > 0.001
    corner = torch.corrcoef(noise.T)
    assert (corner - torch.eye(8)).abs().max() < 0.1


def test_a_key_depends_on_seed_frame_and_step() -> None:
    def key(low: int, high: int, frame: int, step: int) -> int:
        stream = Stream(torch.tensor([[low, high]]), torch.tensor([frame]), 16)
        return int(stream.key(torch.tensor([step])))

    places = [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (0, 1, 0, 0)]
    assert len({key(*place) for place in places}) == len(places)


def test_the_hash_stays_within_its_words() -> None:
    edges = torch.tensor([0, 1, 2**31, 2**32 - 1])
    mixed = mix(edges)
    assert ((mixed >= 0) & (mixed < 2**32)).all()
    assert len(set(mixed.tolist())) == 4

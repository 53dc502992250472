"""No request hears another: the same codes alone, in any batch, and when joining late; nothing left in a slot.

The worst known fault of engines of this kind is another request's voice in the first second. So voices join and
leave at random, slots are used again at once, and every take is compared with the one it gives alone.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from speech.qwen.compose import Prompt
from speech.qwen.model import QwenModel
from speech.qwen.runner import LENGTHS, Runner
from speech.qwen.slots import Sampling
from tests.assets.recordings import reference
from tests.integration.speech.talk import POSITIONS, TIE, Take, Talk, alone

VOICES = 6
SLOTS = 8
FRAMES = 12


@pytest.fixture(scope="module")
def prompts(models: dict[str, QwenModel]) -> list[Prompt]:
    model = models["base"]
    return [
        model.composer.clone(
            "Good morning. " * (1 + voice % 3),
            "en",
            model.clone_prompt(reference(90 + 30 * voice), "Words spoken. " if voice % 2 else ""),
        )
        for voice in range(VOICES)
    ]


def test_a_take_is_the_same_alone_and_in_a_crowd_that_comes_and_goes(
    models: dict[str, QwenModel], prompts: list[Prompt]
) -> None:
    model, dice = models["base"], random.Random(4)
    runner = Runner(model.frame, SLOTS, POSITIONS)
    takes: list[tuple[int, int, Take]] = []
    talks: dict[int, tuple[int, int, Talk]] = {}
    seed = 0
    while seed < 40 or talks:
        free = [slot for slot in range(SLOTS) if slot not in talks]
        while free and seed < 40 and dice.random() < 0.5:
            slot, voice = free.pop(dice.randrange(len(free))), dice.randrange(VOICES)
            talks[slot] = (voice, seed, Talk(runner, slot, prompts[voice], seed, model.sampling))
            seed += 1
        speaking = [slot for slot, (_, _, talk) in talks.items() if len(talk.left) == 1 or talk.read(32)]
        if speaking:
            decoded = runner.decode(speaking)
            for slot in speaking:
                voice, its_seed, talk = talks[slot]
                talk.hear(decoded.status[slot], decoded.codes[slot], decoded.leads[slot])
                if talk.ended or len(talk.take.codes) == FRAMES or dice.random() < 0.03:
                    runner.release(slot)
                    takes.append((voice, its_seed, talk.take))
                    del talks[slot]
    solo = Runner(model.frame, 1, POSITIONS)
    ties = 0
    for voice, its_seed, take in takes:
        expected = alone(solo, prompts[voice], len(take.codes), seed=its_seed, sampling=model.sampling)
        parted = take.differs(expected)
        if parted is not None:
            assert parted[2] < TIE, f"voice {voice}, seed {its_seed}: frame {parted[0]} is another, not a tie"
            ties += 1
    print(f"\nisolation: {sum(len(take.codes) for _, _, take in takes)} frames, {ties} ties")  # noqa: T201
    assert sum(len(take.codes) for _, _, take in takes) > 200


def test_nothing_of_a_voice_is_left_in_its_slot(models: dict[str, QwenModel], prompts: list[Prompt]) -> None:
    model = models["base"]
    runner = Runner(model.frame, 2, POSITIONS)
    fresh = [tensor.clone() for tensor in runner.state.tensors]
    other = Talk(runner, 1, prompts[1], 7, model.sampling)
    while not other.read():
        pass
    alone(runner, prompts[0], 5, seed=3, sampling=model.sampling, slot=0)
    for tensor, before in zip(runner.state.tensors, fresh, strict=True):
        assert torch.equal(tensor[0], before[0])
    runner.release(1)
    for tensor, before in zip(runner.state.tensors, fresh, strict=True):
        assert torch.equal(tensor, before)


def test_what_lies_in_a_free_slot_is_never_heard(models: dict[str, QwenModel], prompts: list[Prompt]) -> None:
    """Even if a wipe were forgotten: positions past a request's own are masked."""
    model = models["base"]
    expected = alone(Runner(model.frame, 2, POSITIONS), prompts[0], 6, seed=1, sampling=model.sampling)
    runner = Runner(model.frame, 2, POSITIONS)
    for keys, values in (*runner.state.talker, *runner.state.predictor):
        keys.fill_(3.0)
        values.fill_(-3.0)
    dirty = alone(runner, prompts[0], 6, seed=1, sampling=model.sampling)
    assert dirty.differs(expected) is None


def test_a_seed_changes_every_slots_draws_and_a_slot_none(
    models: dict[str, QwenModel], prompts: list[Prompt]
) -> None:
    model = models["base"]
    runner = Runner(model.frame, 4, POSITIONS)

    def take(seed: int, slot: int, sampling: Sampling = model.sampling) -> Take:
        return alone(runner, prompts[0], 4, seed=seed, sampling=sampling, slot=slot)

    first = take(1, 0)
    assert first.differs(take(2, 0)) is not None
    assert first.differs(take(1 + (1 << 40), 0)) is not None, "the high word of a seed counts"
    parted = first.differs(take(1, 3))
    assert parted is None or parted[2] < TIE


def test_a_long_prompt_is_read_beside_those_who_have_said_little(models: dict[str, QwenModel]) -> None:
    """Frames compute on every row, also on one that is still being read and is further on than all who speak."""
    model = models["custom_voice"]
    short = model.composer.custom("Hi.", "en", "vivian", "")
    long = model.composer.custom("word " * 120, "en", "ryan", "")
    assert len(long.embeddings) > LENGTHS[0]
    runner = Runner(model.frame, 2, POSITIONS)
    speaker, newcomer = Talk(runner, 1, short, 1, model.sampling), Talk(runner, 0, long, 2, model.sampling)
    speaker.read(POSITIONS)
    speaking = {1: speaker}
    while len(newcomer.take.codes) < 3:
        if 0 not in speaking and newcomer.read(64):
            speaking[0] = newcomer
        decoded = runner.decode(list(speaking))
        for slot, talk in speaking.items():
            talk.hear(decoded.status[slot], decoded.codes[slot], decoded.leads[slot])
    solo = Runner(model.frame, 1, POSITIONS)
    for prompt, seed, talk in ((short, 1, speaker), (long, 2, newcomer)):
        expected = alone(solo, prompt, len(talk.take.codes), seed=seed, sampling=model.sampling)
        parted = talk.take.differs(expected)
        assert parted is None or parted[2] < TIE


def test_no_utterance_ends_before_its_least_frames(
    models: dict[str, QwenModel], prompts: list[Prompt]
) -> None:
    model, least = models["base"], 30
    runner = Runner(model.frame, 1, POSITIONS)

    def lengths(sampling: Sampling) -> list[int]:
        takes = (alone(runner, prompts[0], least + 1, seed=seed, sampling=sampling) for seed in range(8))
        return [len(take.codes) for take in takes]

    assert min(lengths(model.sampling)) < least, "the test would have nothing to find"
    assert min(lengths(replace(model.sampling, min_frames=least))) >= least

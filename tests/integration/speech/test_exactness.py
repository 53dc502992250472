"""The engine's codes are `qwen_tts`'s own: greedy ones frame for frame, sampled ones in distribution.

Greedy codes may part only where upstream itself was undecided: its two best logits within 1e-5. Our frame's lead
stands for upstream's, as both have said the same up to there. What was parted is counted and printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech.languages import LANGUAGES
from speech.qwen.compose import Prompt
from speech.qwen.model import QwenModel
from speech.qwen.runner import Runner
from tests.assets.recordings import reference
from tests.integration.speech.talk import POSITIONS, TIE, Take, alone, codes_of, upstream

FRAMES = 10
TEXTS = {
    "zh": "你好，世界。",
    "ja": "今日は良い天気です。",
    "ko": "안녕하세요.",
    "ru": "Привет, мир.",
}
LATIN = "Roma, 26. Words that go on for longer than the recording did, so that some are left to be read."
TRANSCRIPTS = {"icl": "The words of the recording.", "icl-long": "A long transcript. " * 12, "x-vector": ""}
GREEDY = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": FRAMES + 1}
_ties: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _told() -> Iterator[None]:
    yield
    print(f"\nexactness: {_ties['frames']} frames compared, {_ties['ties']} takes parted at a tie")  # noqa: T201


@pytest.fixture(scope="module")
def theirs(checkpoints: dict[str, Path]) -> Callable[[str], Any]:
    loaded: dict[str, Any] = {}

    def get(kind: str) -> Any:
        return (
            loaded.setdefault(kind, None)
            or loaded.update({kind: upstream(checkpoints[kind])})
            or loaded[kind]
        )

    return get


def text_in(language: str) -> str:
    return TEXTS.get(language, LATIN)


def compare(model: QwenModel, prompt: Prompt, said: list[torch.Tensor], case: str) -> None:
    ours: Take = alone(Runner(model.frame, 1, POSITIONS), prompt, FRAMES)
    _ties["frames"] += len(ours.codes)
    parted = ours.differs(said)
    if parted is not None:
        frame, group, lead = parted
        assert lead < TIE, f"{case}: another code in frame {frame}, group {group}, with a lead of {lead}"
        _ties["ties"] += 1
        print(f"{case}: parted at frame {frame}, group {group}, lead {lead:.1e}")  # noqa: T201


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_a_clone_is_upstreams(
    models: dict[str, QwenModel], theirs: Callable[[str], Any], language: str, transcript: str
) -> None:
    model, tts, text, words = models["base"], theirs("base"), text_in(language), TRANSCRIPTS[transcript]
    voice = model.clone_prompt(reference(120), words)
    prompt = model.composer.clone(text, language, voice)
    recording = (reference(120).samples, 24_000)
    theirs_prompt = tts.create_voice_clone_prompt(recording, words or None, x_vector_only_mode=not words)
    with codes_of(tts) as said:
        tts.generate_voice_clone(text, LANGUAGES[language].name, voice_clone_prompt=theirs_prompt, **GREEDY)
    compare(model, prompt, said[0], f"clone {transcript} {language}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("speaker", "instruct"), [("vivian", ""), ("eric", "Happy and fast.")])
def test_a_preset_voice_is_upstreams(
    models: dict[str, QwenModel], theirs: Callable[[str], Any], language: str, speaker: str, instruct: str
) -> None:
    """Eric speaks a dialect where the language is Chinese."""
    model, tts, text = models["custom_voice"], theirs("custom_voice"), text_in(language)
    with codes_of(tts) as said:
        name = LANGUAGES[language].name
        tts.generate_custom_voice(text, speaker, name, instruct or None, **GREEDY)
    prompt = model.composer.custom(text, language, speaker, instruct)
    compare(model, prompt, said[0], f"custom {speaker} {language}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("instruct", ["", "A deep, tired voice."])
def test_a_designed_voice_is_upstreams(
    models: dict[str, QwenModel], theirs: Callable[[str], Any], language: str, instruct: str
) -> None:
    model, tts, text = models["voice_design"], theirs("voice_design"), text_in(language)
    with codes_of(tts) as said:
        tts.generate_voice_design(text, instruct, LANGUAGES[language].name, **GREEDY)
    prompt = model.composer.design(text, language, instruct)
    compare(model, prompt, said[0], f"design {language}")


def test_first_frames_are_drawn_from_upstreams_distribution(
    models: dict[str, QwenModel], theirs: Callable[[str], Any]
) -> None:
    """A chi-square test of homogeneity over the first frame's first two codes; seeds are fixed."""
    from scipy.stats import chi2_contingency

    draws, batch = 1024, 64
    model, tts = models["custom_voice"], theirs("custom_voice")
    prompt = model.composer.custom("Hello there.", "en", "vivian", "")
    runner = Runner(model.frame, batch, POSITIONS)
    ours: list[list[int]] = []
    for start in range(0, draws, batch):
        for slot in range(batch):
            runner.open(slot, prompt.text, start + slot, model.sampling)
            runner.prefill(slot, prompt.embeddings[:-1])
            runner.start(slot, prompt.embeddings[-1])
        ours += runner.decode(range(batch)).codes[:, :2].tolist()
        for slot in range(batch):
            runner.release(slot)
    torch.manual_seed(1)
    with codes_of(tts) as said:
        for _ in range(draws // batch):
            tts.generate_custom_voice(["Hello there."] * batch, "vivian", "English", max_new_tokens=2)
    for group in (0, 1):
        counted = Counter(codes[group] for codes in ours)
        counted_theirs = Counter(int(frames[0][group]) for frames in said)
        common = [code for code, times in (counted + counted_theirs).items() if times >= 20]
        rows = [[counter[code] for code in common] for counter in (counted, counted_theirs)]
        rest = [[draws - sum(row)] for row in rows]
        table = np.hstack((rows, rest)) if any(map(any, rest)) else np.array(rows)
        result = chi2_contingency(table)
        assert len(common) > 5, "the test would have no power"
        assert result.pvalue > 0.001, f"group {group}: p = {result.pvalue}"

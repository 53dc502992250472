"""What the Qwen3-TTS engine promises beyond the contract, through the real package on tiny checkpoints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from speech.budget import frame_budget
from speech.config import Checkpoint, EngineConfig
from speech.engine import CloneRequest, CustomVoiceRequest, DesignRequest, Reference, Samples
from speech.errors import EngineUnavailable, ModeUnsupported, SynthesisFailed, TextError
from speech.qwen.checkpoint import find_checkpoint
from speech.qwen.compose import VoicePrompt
from speech.qwen.engine import QwenEngine
from speech.qwen.model import QwenModel
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import hum, reference

pytestmark = pytest.mark.slow

SAID = prepare("Good morning.", "en")


@pytest.fixture(scope="module")
def base(tiny_checkpoints: dict[str, Path]) -> Iterator[QwenEngine]:
    engine = QwenEngine(only("base", tiny_checkpoints, on_runaway="cut", max_frames=12))
    yield engine
    engine.close()


def only(kind: str, checkpoints: dict[str, Path], **changes: object) -> EngineConfig:
    values = {"name": "qwen", "device": "cpu", "compile": "off", kind: str(checkpoints[kind]), **changes}
    return EngineConfig.model_validate(values)


def cloned(
    hertz: float,
    *,
    voice_id: str = "voice-a",
    epoch: int = 0,
    transcript: str = "Hello there.",
    seed: int = 0,
) -> CloneRequest:
    grant = granted(SAID, voice_id=voice_id, voice_epoch=epoch)
    return CloneRequest(grant, SAID, reference(hertz, transcript=transcript), seed)


def heard(engine: QwenEngine, request: CloneRequest | CustomVoiceRequest | DesignRequest) -> Samples:
    return np.concatenate(list(engine.start(request)))


# modes and checkpoints --------------------------------------------------------------------------------------


def test_a_mode_without_a_checkpoint_is_refused_at_once(base: QwenEngine) -> None:
    assert base.info.modes == {"clone"}
    with pytest.raises(ModeUnsupported, match="clone"):
        base.start(CustomVoiceRequest("r", SAID, "vivian"))
    with pytest.raises(ModeUnsupported):
        base.start(DesignRequest("r", prepare("Hi.", "en", "a deep voice"), 0))


def test_an_engine_without_the_base_checkpoint_is_no_cloner(tiny_checkpoints: dict[str, Path]) -> None:
    engine = QwenEngine(only("custom_voice", tiny_checkpoints))
    try:
        assert not engine.info.is_clone
        with pytest.raises(ModeUnsupported):
            engine.start(cloned(120))
    finally:
        engine.close()


def test_a_checkpoint_in_the_wrong_place_is_named(tiny_checkpoints: dict[str, Path]) -> None:
    with pytest.raises(EngineUnavailable, match="voice_design"):
        find_checkpoint(Checkpoint(source=str(tiny_checkpoints["voice_design"])), "base", offline=True)


def test_the_model_digest_changes_with_a_single_weight_byte(
    tiny_checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    wanted = Checkpoint(source=str(shutil.copytree(tiny_checkpoints["base"], tmp_path / "copy")))
    before = find_checkpoint(wanted, "base", offline=True).digest
    assert before == find_checkpoint(wanted, "base", offline=True).digest
    weights = tmp_path / "copy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert find_checkpoint(wanted, "base", offline=True).digest != before


# cloning ----------------------------------------------------------------------------------------------------


def test_the_transcript_matters_and_its_absence_is_another_way_to_clone(base: QwenEngine) -> None:
    takes = [heard(base, cloned(120, transcript=text)) for text in ("Hello there.", "Other words.", "")]
    assert len({take.tobytes() for take in takes}) == 3


def test_a_prompt_is_made_once_for_a_voice(base: QwenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_prompts(monkeypatch)
    base.cancel_voice("voice-a", "test")
    first, again = heard(base, cloned(120)), heard(base, cloned(120))
    np.testing.assert_array_equal(first, again)
    assert len(made) == 1


def test_cancelling_a_voice_drops_and_erases_its_prompts(
    base: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = count_prompts(monkeypatch)
    base.cancel_voice("voice-a", "test")
    heard(base, cloned(120))
    assert len(base._prompts) == 1
    base.cancel_voice("voice-a", "consent_revoked")
    assert len(base._prompts) == 0
    (prompt,) = made
    assert not prompt.embedding.any()
    assert prompt.codes is not None
    assert not prompt.codes.any()


def test_a_new_epoch_leaves_no_prompt_of_the_old_one(
    base: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = count_prompts(monkeypatch)
    base.cancel_voice("voice-a", "test")
    heard(base, cloned(120, epoch=1))
    heard(base, cloned(120, epoch=2))
    assert len(made) == 2
    assert len(base._prompts) == 1


def test_a_reference_goes_in_as_samples_only(base: QwenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package would take a string for a path or a URL and fetch it."""
    from qwen_tts import Qwen3TTSModel

    given: list[object] = []
    create = Qwen3TTSModel.create_voice_clone_prompt

    def watch(self: Qwen3TTSModel, ref_audio: object, **rest: object) -> object:
        given.append(ref_audio)
        return create(self, ref_audio, **rest)

    monkeypatch.setattr(Qwen3TTSModel, "create_voice_clone_prompt", watch)
    base.cancel_voice("voice-a", "test")
    heard(base, cloned(120, transcript="https://example.org/voice.wav"))
    ((samples, rate),) = given
    assert isinstance(samples, np.ndarray)
    assert rate == 24_000


def test_a_transcript_cannot_rewrite_the_prompt(base: QwenEngine) -> None:
    with pytest.raises(TextError) as raised:
        base.start(cloned(120, transcript="Hello<|im_end|>"))
    assert raised.value.code == "text_control_characters"


def test_every_control_token_of_the_tokenizer_is_refused(base: QwenEngine) -> None:
    assert {"<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_text_bos>"} <= base._control_tokens
    for token in base._control_tokens:
        with pytest.raises(TextError):
            base.start(cloned(120, transcript=f"Hello {token} there"))


# ending -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speaker(tiny_checkpoints: dict[str, Path]) -> Iterator[QwenEngine]:
    engine = QwenEngine(only("custom_voice", tiny_checkpoints, on_runaway="cut"))
    yield engine
    engine.close()


def preset(seed: int = 0) -> CustomVoiceRequest:
    return CustomVoiceRequest("r", SAID, "vivian", seed)


def test_speech_that_finds_its_end_is_whole(speaker: QwenEngine) -> None:
    budget_s = frame_budget(SAID.text, "en") * 0.08
    lengths = [heard(speaker, preset(seed)).size / 24_000 for seed in range(5)]
    assert min(lengths) < budget_s - 0.5, "none of five takes ended by itself"


def test_speech_that_finds_no_end_fails_instead_of_being_cut_silently(
    tiny_checkpoints: dict[str, Path],
) -> None:
    engine = QwenEngine(only("custom_voice", tiny_checkpoints, max_frames=3))
    try:
        with pytest.raises(SynthesisFailed, match="budget"):
            heard(engine, preset())
    finally:
        engine.close()


def test_a_seed_decides_and_the_process_keeps_its_random_numbers(speaker: QwenEngine) -> None:
    import torch

    first = heard(speaker, preset(5))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(heard(speaker, preset(5)), first)
    assert torch.equal(torch.get_rng_state(), before), "a request must not touch the process's random numbers"


def test_logits_that_are_no_numbers_fail_their_own_request_alone(base: QwenEngine) -> None:
    """A broken voice prompt stands in for whatever makes a model compute what is no number."""
    neighbour = base.start(cloned(220, voice_id="voice-b"))
    broken = base.start(cloned(float("nan"), voice_id="voice-c"))
    with pytest.raises(SynthesisFailed, match="no number"):
        list(broken)
    together = np.concatenate(list(neighbour))
    np.testing.assert_array_equal(together, heard(base, cloned(220, voice_id="voice-b")))
    np.testing.assert_array_equal(heard(base, cloned(120)), heard(base, cloned(120)))


# quiet ------------------------------------------------------------------------------------------------------


def test_loading_prints_nothing_on_standard_output(tiny_checkpoints: dict[str, Path]) -> None:
    program = """
import sys
from speech.config import EngineConfig
from speech.load import load_engine
engine = load_engine(EngineConfig(name="qwen", device="cpu", compile="off", base=sys.argv[1]))
engine.warm_up()
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_checkpoints["base"])], capture_output=True, check=True
    )
    assert done.stdout == b""


def count_prompts(monkeypatch: pytest.MonkeyPatch) -> list[VoicePrompt]:
    made: list[VoicePrompt] = []
    make = QwenModel.clone_prompt

    def count(self: QwenModel, given: Reference, transcript: str) -> VoicePrompt:
        made.append(make(self, given, transcript))
        return made[-1]

    monkeypatch.setattr(QwenModel, "clone_prompt", count)
    return made


def test_a_reference_at_another_rate_is_resampled(base: QwenEngine) -> None:
    grant = granted(SAID, voice_id="voice-48k")
    request = CloneRequest(grant, SAID, Reference(hum(120, sample_rate=48_000), 48_000, "Hello."))
    assert heard(base, request).size > 0

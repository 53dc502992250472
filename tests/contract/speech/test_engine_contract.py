"""What every engine promises, whatever speaks behind it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from consent_service.grants import Utterance
from speech.config import EngineConfig
from speech.engine import (
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Samples,
    SpeechEngine,
    SpeechRequest,
    SpeechStream,
)
from speech.errors import (
    EngineUnavailable,
    RequestInvalid,
    SpeakerUnknown,
    SynthesisCancelled,
    TextError,
)
from speech.languages import CODES
from speech.load import load_engine
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import reference

SAID = prepare("The morning was clear, and all along the river people were walking home.", "en")
_ids = itertools.count()


def clone(hertz: float = 120.0, *, said: Utterance = SAID, voice_id: str = "", seed: int = 0) -> CloneRequest:
    voice = voice_id or f"voice-{hertz:g}"
    return CloneRequest(granted(said, voice_id=voice), said, reference(hertz), seed)


def custom(speaker: str = "Vivian", *, said: Utterance = SAID, seed: int = 0) -> CustomVoiceRequest:
    return CustomVoiceRequest(f"custom-{next(_ids)}", said, speaker, seed)


def design(instruct: str = "A warm, low voice.", *, text: str = SAID.text, seed: int = 0) -> DesignRequest:
    return DesignRequest(f"design-{next(_ids)}", prepare(text, "en", instruct), seed)


MODES: dict[str, Callable[..., SpeechRequest]] = {"clone": clone, "custom": custom, "design": design}


def heard(stream: SpeechStream) -> Samples:
    return np.concatenate(list(stream))


# what comes out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_speaks_in_clean_chunks(engine: SpeechEngine, mode: str) -> None:
    assert mode in engine.info.modes
    request = MODES[mode]()
    stream = engine.start(request)
    assert stream.request_id == request.request_id
    chunks = list(stream)
    assert chunks
    for chunk in chunks:
        assert chunk.dtype == np.float32
        assert chunk.ndim == 1
        assert chunk.size > 0
        assert np.isfinite(chunk).all()
        assert np.abs(chunk).max() <= 1.0
    assert np.concatenate(chunks).std() > 0.01


@pytest.mark.parametrize("mode", MODES)
def test_the_same_request_gives_the_same_samples(engine: SpeechEngine, mode: str) -> None:
    first = heard(engine.start(MODES[mode](seed=7)))
    heard(engine.start(custom("Ryan", seed=3)))  # whatever was spoken in between
    again = heard(engine.start(MODES[mode](seed=7)))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("mode", MODES)
def test_another_seed_is_another_take(engine: SpeechEngine, mode: str) -> None:
    takes = {heard(engine.start(MODES[mode](seed=seed))).tobytes() for seed in (0, 1, 2)}
    assert len(takes) > 1


def test_two_references_are_two_voices(engine: SpeechEngine) -> None:
    low, high = heard(engine.start(clone(110))), heard(engine.start(clone(220)))
    assert low.tobytes() != high.tobytes()


def test_a_voice_id_does_not_bring_back_another_reference(engine: SpeechEngine) -> None:
    expected = heard(engine.start(clone(220, voice_id="alone")))
    heard(engine.start(clone(110, voice_id="shared")))
    assert heard(engine.start(clone(220, voice_id="shared"))).tobytes() == expected.tobytes()


def test_two_speakers_and_two_descriptions_are_different_voices(engine: SpeechEngine) -> None:
    voices = [custom("Vivian"), custom("Uncle_Fu"), design("A deep man."), design("A bright woman.")]
    assert len({heard(engine.start(voice)).tobytes() for voice in voices}) == len(voices)


def test_a_reference_without_a_transcript_is_enough(engine: SpeechEngine) -> None:
    request = CloneRequest(granted(SAID), SAID, reference(120, transcript=""))
    assert heard(engine.start(request)).size > 0


@pytest.mark.parametrize("code", CODES)
def test_all_ten_languages_are_spoken(engine: SpeechEngine, code: str) -> None:
    texts = {"zh": "你好，世界。", "ja": "今日は良い天気です。", "ko": "안녕하세요.", "ru": "Привет, мир."}
    said = prepare(texts.get(code, "Roma, 26."), code)
    assert heard(engine.start(custom(said=said))).size > 0


def test_what_an_engine_says_of_itself_is_fit_for_a_manifest(engine: SpeechEngine, engine_name: str) -> None:
    info = engine.info
    assert info.name == engine_name
    assert info.model
    assert len(bytes.fromhex(info.model_digest)) == 32
    assert info.is_clone is (engine_name == "qwen")
    assert set(info.languages) == set(CODES)
    assert len(info.speakers) == 9
    json.dumps([info.name, info.model, info.model_digest, sorted(info.modes), *info.speakers])


# together ---------------------------------------------------------------------------------------------------


def test_four_threads_hear_what_each_would_hear_alone(engine: SpeechEngine) -> None:
    requests: list[Callable[[], SpeechRequest]] = [
        lambda: clone(110, seed=1),
        lambda: clone(220, seed=2),
        lambda: custom("Ryan", seed=3),
        lambda: design("A bright girl.", seed=4),
    ]
    alone = [heard(engine.start(make())) for make in requests]
    with ThreadPoolExecutor(4) as pool:
        rounds = [list(pool.map(lambda make: heard(engine.start(make())), requests)) for _ in range(2)]
    for together in rounds:
        for expected, got in zip(alone, together, strict=True):
            np.testing.assert_array_equal(expected, got)


# cancelling -------------------------------------------------------------------------------------------------


def test_a_request_cancelled_before_its_first_chunk_gives_none(engine: SpeechEngine) -> None:
    ahead, stream, behind = (engine.start(custom("Ryan")) for _ in range(3))
    stream.cancel("consent_revoked")
    with pytest.raises(SynthesisCancelled) as raised:
        next(iter(stream))
    assert raised.value.code == "consent_revoked"
    np.testing.assert_array_equal(heard(ahead), heard(behind))


def test_nothing_is_given_out_after_a_cancel(engine: SpeechEngine) -> None:
    stream = engine.start(custom())
    chunks = iter(stream)
    next(chunks)
    stream.cancel("consent_revoked")
    stream.cancel("too_late")
    for _ in range(2):  # a cancelled stream never looks complete
        with pytest.raises(SynthesisCancelled) as raised:
            next(chunks)
        assert raised.value.code == "consent_revoked"


def test_cancelling_a_finished_stream_does_nothing(engine: SpeechEngine) -> None:
    stream = engine.start(custom())
    heard(stream)
    stream.cancel()
    assert list(stream) == []


def test_cancelling_a_voice_ends_all_of_its_requests_and_no_other(engine: SpeechEngine) -> None:
    doomed = [engine.start(clone(110, voice_id="gone")) for _ in range(3)]
    other = engine.start(clone(220, voice_id="stays"))
    assert engine.cancel_voice("gone", "consent_revoked") == 3
    for stream in doomed:
        with pytest.raises(SynthesisCancelled) as raised:
            list(stream)
        assert raised.value.code == "consent_revoked"
    assert heard(other).size > 0
    assert engine.cancel_voice("gone", "consent_revoked") == 0


# refusals ---------------------------------------------------------------------------------------------------


def test_an_unknown_speaker_is_refused_at_once_and_the_known_ones_named(engine: SpeechEngine) -> None:
    with pytest.raises(SpeakerUnknown, match=r"(?i)vivian") as raised:
        engine.start(custom("Nobody"))
    assert raised.value.code == "speaker_unknown"


def test_speakers_are_known_in_any_case(engine: SpeechEngine) -> None:
    first, second = heard(engine.start(custom("VIVIAN"))), heard(engine.start(custom("vivian")))
    np.testing.assert_array_equal(first, second)


def test_an_unknown_language_is_refused(engine: SpeechEngine) -> None:
    with pytest.raises(TextError) as raised:
        engine.start(custom(said=Utterance("Hej", "sv")))
    assert raised.value.code == "language_unsupported"


def test_a_design_without_a_description_is_refused(engine: SpeechEngine) -> None:
    with pytest.raises(TextError) as raised:
        engine.start(design(""))
    assert raised.value.code == "instruct_missing"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  two  spaces", "text_invalid"),
        ("…", "text_empty"),
        ("x" * 5000, "text_too_long"),
        ("a\x01b", "text_control_characters"),
        ("Hello<|im_end|>there", "text_control_characters"),
    ],
)
def test_only_canonical_text_is_spoken(engine: SpeechEngine, text: str, code: str) -> None:
    with pytest.raises(TextError) as raised:
        engine.start(custom(said=Utterance(text, "en")))
    assert raised.value.code == code
    assert text not in str(raised.value)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(engine: SpeechEngine, seed: int) -> None:
    with pytest.raises(RequestInvalid):
        engine.start(custom(seed=seed))


def test_a_failed_request_does_not_disturb_the_next(engine: SpeechEngine) -> None:
    expected = heard(engine.start(custom()))
    with pytest.raises(SpeakerUnknown):
        engine.start(custom("Nobody"))
    np.testing.assert_array_equal(heard(engine.start(custom())), expected)


def test_an_engine_that_speaks_or_refuses_is_healthy_and_a_closed_one_is_not(config: EngineConfig) -> None:
    engine = load_engine(config)
    assert engine.healthy, "before it has loaded anything"
    try:
        stream = engine.start(custom())
        assert engine.healthy, "while it loads and speaks"
        heard(stream)
        with pytest.raises(SpeakerUnknown):
            engine.start(custom("Nobody"))
        assert engine.healthy
    finally:
        engine.close()
    assert not engine.healthy


# the end ----------------------------------------------------------------------------------------------------


def test_a_closed_engine_ends_its_streams_and_takes_no_more(config: EngineConfig) -> None:
    engine = load_engine(config)
    streams = [engine.start(custom()) for _ in range(3)]
    engine.close()
    engine.close()
    for stream in streams:
        with pytest.raises(SynthesisCancelled):
            list(stream)
    with pytest.raises(EngineUnavailable):
        engine.start(custom())


def test_a_warm_engine_speaks_as_a_cold_one(engine: SpeechEngine, config: EngineConfig) -> None:
    fresh = load_engine(config)
    try:
        fresh.warm_up()
        np.testing.assert_array_equal(heard(fresh.start(custom())), heard(engine.start(custom())))
    finally:
        fresh.close()


def test_no_repr_holds_a_text_or_a_recording(engine: SpeechEngine) -> None:
    request = clone()
    stream = engine.start(request)
    shown = f"{request!r} {stream!r} {engine!r}"
    heard(stream)
    assert "morning" not in shown
    assert "words of the recording" not in shown
    assert "array(" not in shown

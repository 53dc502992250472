"""What the embedded engine promises beyond the contract: distinct voices, and no process left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foundation.worker_process import WorkerProcess
from speech.config import EngineConfig
from speech.embedded.engine import EmbeddedEngine, find_library
from speech.embedded.pitch import median_pitch
from speech.embedded.process import EspeakProcess, Speech
from speech.embedded.voices import SPEAKERS, espeak_voice
from speech.engine import SAMPLE_RATE, CloneRequest, CustomVoiceRequest, Samples, SpeechRequest
from speech.errors import SpeechError, SynthesisFailed
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import reference

SAID = prepare("The morning was clear, and all along the river people were walking slowly home.", "en")
VOICE = espeak_voice(SPEAKERS["Ryan"], 0)


@pytest.fixture
def engine() -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(EngineConfig(name="embedded"))
    yield engine
    engine.close()


@pytest.fixture
def process() -> Iterator[EspeakProcess]:
    process = EspeakProcess(find_library())
    yield process
    process.stop()


def heard(engine: EmbeddedEngine, request: SpeechRequest) -> Samples:
    return np.concatenate(list(engine.start(request)))


def cloned(hertz: float) -> CloneRequest:
    return CloneRequest(granted(SAID, voice_id=f"voice-{hertz}"), SAID, reference(hertz))


def gone(pid: int, *, within_s: float = 10.0) -> bool:
    """Whether a process ends in time; waits for the event itself."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(within_s * 1000))


@pytest.mark.parametrize("hertz", [85.0, 110.0, 150.0, 200.0, 260.0])
def test_a_voice_is_as_high_as_its_reference(engine: EmbeddedEngine, hertz: float) -> None:
    measured = median_pitch(heard(engine, cloned(hertz)), SAMPLE_RATE)
    assert measured == pytest.approx(hertz, rel=0.12)


def test_no_voice_bleeds_into_another_under_concurrency(engine: EmbeddedEngine) -> None:
    low_and_high = [100.0, 230.0] * 8
    with ThreadPoolExecutor(8) as pool:
        clips = list(pool.map(lambda hertz: heard(engine, cloned(hertz)), low_and_high))
    for hertz, clip in zip(low_and_high, clips, strict=True):
        for part in np.array_split(clip, 3):  # the first second is where others were caught
            measured = median_pitch(part, SAMPLE_RATE)
            assert measured is not None
            assert (measured < 150) == (hertz < 150)


def test_the_nine_speakers_differ_in_pitch_or_pace(engine: EmbeddedEngine) -> None:
    traits = set()
    for speaker in SPEAKERS:
        clip = heard(engine, CustomVoiceRequest("r", SAID, speaker))
        traits.add((round(median_pitch(clip, SAMPLE_RATE) or 0), clip.size))
    assert len(traits) == 9


def test_two_engines_in_one_process_do_not_disturb_each_other(engine: EmbeddedEngine) -> None:
    alone = heard(engine, cloned(120))
    second = EmbeddedEngine(EngineConfig(name="embedded"))
    try:
        with ThreadPoolExecutor(4) as pool:
            clips = list(pool.map(lambda which: heard(which, cloned(120)), [engine, second] * 4))
    finally:
        second.close()
    for clip in clips:
        np.testing.assert_array_equal(clip, alone)


def test_kanji_are_read_and_not_spelled_out(engine: EmbeddedEngine) -> None:
    kanji = heard(engine, CustomVoiceRequest("r", prepare("今日は東京へ行きます。", "ja"), "Ono_Anna"))
    kana = heard(engine, CustomVoiceRequest("r", prepare("キョーワトウキョウエイキマス。", "ja"), "Ono_Anna"))
    assert kanji.size == pytest.approx(kana.size, rel=0.2)


def test_markup_is_text_and_not_a_command(engine: EmbeddedEngine) -> None:
    marked = prepare("<prosody rate='x-slow'>one</prosody> [[h@l'oU]]", "en")
    plain = prepare("prosody rate x-slow one prosody h l oU", "en")
    longer = heard(engine, CustomVoiceRequest("r", marked, "Ryan"))
    assert longer.size > 0.7 * heard(engine, CustomVoiceRequest("r", plain, "Ryan")).size


def quiet(samples: Samples) -> float:
    """Seconds of the longest stretch below −50 dBFS, in blocks of 10 ms."""
    blocks = samples[: samples.size // 240 * 240].reshape(-1, 240)
    loud = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > 10 ** (-50 / 20))
    return float(np.diff(loud, prepend=-1, append=len(blocks)).max() - 1) * 0.01


def test_silence_at_the_ends_is_trimmed(engine: EmbeddedEngine) -> None:
    clip = heard(engine, CustomVoiceRequest("r", prepare("Hello.", "en"), "Ryan"))
    loud = np.flatnonzero(np.abs(clip) > 0.01)
    assert loud[0] < 0.1 * SAMPLE_RATE
    assert clip.size - loud[-1] < 0.15 * SAMPLE_RATE


@pytest.mark.parametrize("pause_s", [0.8, 2.5])
def test_a_pause_is_heard(engine: EmbeddedEngine, pause_s: float) -> None:
    said = prepare(f"Wait here [pause {pause_s}s] and now go on.", "en")
    assert quiet(heard(engine, CustomVoiceRequest("r", said, "Ryan"))) == pytest.approx(pause_s, abs=0.15)


def test_a_pause_may_come_first_and_last(engine: EmbeddedEngine) -> None:
    bare, framed = (
        heard(engine, CustomVoiceRequest("r", prepare(text, "en"), "Ryan"))
        for text in ("Hello.", "[pause 1s] Hello. [pause 2s]")
    )
    assert (framed.size - bare.size) / SAMPLE_RATE == pytest.approx(3.0, abs=0.02)


def test_a_long_text_is_spoken_in_segments_without_clicks(engine: EmbeddedEngine) -> None:
    pair = "The morning was clear. All along the river people were walking home. "
    short, long = (
        heard(engine, CustomVoiceRequest("r", prepare(pair * times, "en"), "Ryan")) for times in (1, 12)
    )
    assert np.abs(np.diff(long)).max() <= 1.1 * np.abs(np.diff(short)).max()
    assert long.size == pytest.approx(12 * short.size, rel=0.15)


def test_a_dead_worker_is_replaced(process: EspeakProcess) -> None:
    process.start()
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    blocks: list[bytes] = []
    process.say(Speech("Still here.", "en-us", VOICE), blocks.append)
    assert blocks
    assert process.pid != first


def test_a_worker_that_dies_mid_utterance_fails_that_one_alone(process: EspeakProcess) -> None:
    def kill_it(_block: bytes) -> None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(SynthesisFailed):
        process.say(Speech(SAID.text * 20, "en-us", VOICE), kill_it)
    blocks: list[bytes] = []
    process.say(Speech("Next.", "en-us", VOICE), blocks.append)
    assert blocks


def test_an_abandoned_utterance_leaves_the_worker_ready(process: EspeakProcess) -> None:
    class EnoughError(Exception):
        pass

    expected: list[bytes] = []
    process.say(Speech("Once more.", "en-us", VOICE), expected.append)
    worker = process.pid

    def leave(_block: bytes) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        process.say(Speech(SAID.text * 20, "en-us", VOICE), leave)
    blocks: list[bytes] = []
    process.say(Speech("Once more.", "en-us", VOICE), blocks.append)
    assert blocks == expected
    assert process.pid == worker


def test_a_voice_that_espeak_does_not_have_is_a_clean_failure(process: EspeakProcess) -> None:
    with pytest.raises(SynthesisFailed, match="voice"):
        process.say(Speech("Hello.", "fr-fr", VOICE), lambda _block: None)


def test_closing_ends_the_worker() -> None:
    engine = EmbeddedEngine(EngineConfig(name="embedded"))
    engine.warm_up()
    worker = engine._process.pid
    assert worker is not None
    engine.close()
    assert not Path(f"/proc/{worker}").exists()


def test_no_worker_outlives_a_killed_parent() -> None:
    """Killed, it can clean up nothing, and a fork of it still holds the worker's pipe open."""
    program = """
import os, sys
from foundation.worker_process import WorkerProcess
from speech.config import EngineConfig
from speech.embedded.engine import EmbeddedEngine
engine = EmbeddedEngine(EngineConfig(name="embedded"))
engine.warm_up()
fork = os.fork()
if fork == 0:
    import signal
    os.close(1)
    signal.pause()
print(engine._process.pid, fork, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker, fork = (int(pid) for pid in parent.stdout.readline().split())
    try:
        parent.kill()
        parent.communicate()
        assert gone(worker)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_the_worker_is_told_nothing_on_its_command_line(process: EspeakProcess) -> None:
    process.say(Speech("A confidential sentence.", "en-us", VOICE), lambda _block: None)
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"confidential" not in command


def test_the_reference_never_reaches_the_worker(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    ask = WorkerProcess.ask
    monkeypatch.setattr(
        WorkerProcess, "ask", lambda self, message: (sent.append(repr(message)), ask(self, message))[1]
    )
    heard(engine, cloned(120))
    assert len(sent) == 1
    assert "words of the recording" not in sent[0]
    assert len(sent[0]) < 2 * len(SAID.text) + 200


def test_failures_are_of_this_rooms_tree(process: EspeakProcess) -> None:
    with pytest.raises(SpeechError):
        process.say(Speech("Hello.", "no-such-language", VOICE), lambda _block: None)

"""The examiners themselves, with their models, on spoken and on marked recordings. Each starts once for all tests."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from consent_service.errors import RecordingRejected
from consent_service.examination.challenge.sentences import sentence
from consent_service.examination.config import ExaminationConfig
from consent_service.examination.examiner import Examiner
from consent_service.examination.findings import Examined
from consent_service.examination.marks import KnownMarks
from consent_service.examination.process import ExaminerProcess
from consent_service.examination.recordings import read_recording
from consent_service.examination.transcript import Asked
from consent_service.keys import FileKeyProvider
from consent_service.proofs.records import WatermarkTag
from provenance.disclosure import Disclosure
from provenance.keyed.marker import Marker
from provenance.presence import PresenceMark
from provenance.stamp import Stamper
from vouch.demo.subject import StandIn

SOUNDS = Path("/usr/share/asterisk/sounds")  # natural speech, where Debian's prompts are installed
ANNA, BORIS = StandIn("Anna", pitch=60, rate=140), StandIn("Boris", pitch=30, rate=140)
SAMPLE = "The sun had not yet risen. The sea was slightly creased, as if a cloth had wrinkles in it."
TODAY, YESTERDAY = "coffee lemon castle window", "tiger button giant honey"


@dataclass(frozen=True)
class Room:
    """An examiner, and keys of ours to mark with."""

    examiner: Examiner
    keys: FileKeyProvider
    known: KnownMarks

    def examine(self, reference: bytes, statement: bytes) -> Examined:
        asked = Asked("en", "narration", TODAY, spoken(TODAY))
        return self.examiner.examine(
            asked,
            reference=read_recording(reference),
            statement=read_recording(statement),
            files=(reference, statement),
        )

    def refused(self, reference: bytes, statement: bytes) -> str:
        with pytest.raises(RecordingRejected) as error:
            self.examine(reference, statement)
        return str(error.value.code)

    def worker(self, kind: str) -> ExaminerProcess:
        return next(p for p in self.examiner._processes if kind in p._worker._command)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("real")
    keys = FileKeyProvider.create(folder / "keys", organisation="Example Publishing")
    known = KnownMarks(keys.trust_anchor(), {1: keys.watermark_key(1)})
    # What a library would spill into a temporary file lies where a test looks.
    before = os.environ.get("TMPDIR")
    spill = folder / "tmp"
    spill.mkdir()
    os.environ["TMPDIR"] = str(spill)
    examiner = Examiner(ExaminationConfig(transcript="pocketsphinx"), lambda: known)
    yield Room(examiner, keys, known)
    examiner.close()
    os.environ.pop("TMPDIR")
    if before is not None:
        os.environ["TMPDIR"] = before
    assert not list(spill.rglob("*")), "no recording, and nothing else, was left on the disk"


def spoken(nonce: str) -> str:
    return sentence("en", subject="Mary Smith", grantee="studio", purpose="narration", nonce=nonce)


def recite(who: StandIn, nonce: str = TODAY) -> bytes:
    return who.record(spoken(nonce), "en-us")


def test_one_speaker_and_today_s_sentence_leave_nothing_in_doubt(room: Room) -> None:
    found = room.examine(ANNA.record(SAMPLE, "en-us"), recite(ANNA))
    evidence = found.evidence()
    assert evidence["speaker"]["outcome"] == "same"
    assert evidence["speaker"]["score"] > 0.85
    assert len(evidence["speaker"]["model_sha256"]) == 64
    assert evidence["transcript"]["outcome"] == "spoken"
    assert evidence["marks"]["outcome"] == "none found"
    assert found.doubts == ()


def test_yesterday_s_words_and_another_text_are_not_recognised(room: Room) -> None:
    reference = BORIS.record(SAMPLE, "en-us")
    for statement in (recite(BORIS, YESTERDAY), reference):
        found = room.examine(reference, statement)
        assert found.transcript.evidence["outcome"] == "not recognised"
        assert found.doubts == ("challenge_not_spoken",)


def test_a_worker_gives_a_score_and_no_embedding(room: Room) -> None:
    pcm = read_recording(ANNA.record(SAMPLE, "en-us")).speech
    answer = room.worker("speaker").ask({"op": "compare"}, [pcm, pcm])
    assert set(answer) == {"score", "least", "model", "model_sha256"}
    assert answer["score"] == pytest.approx(1.0, abs=1e-3)


def test_a_worker_that_is_killed_is_started_again(room: Room) -> None:
    worker = room.worker("english")
    pcm = read_recording(recite(ANNA)).speech
    first = worker.ask({"op": "transcribe"}, [pcm])
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.ask({"op": "transcribe"}, [pcm]) == first


@pytest.mark.skipif(not SOUNDS.exists(), reason="needs Debian's asterisk-core-sounds-*-g722")
def test_two_people_are_two_speakers_and_one_is_one(room: Room) -> None:
    allison, carlo = prompts("en_US_f_Allison"), prompts("it_IT_m_Carlo")
    assert room.examine(allison[0], allison[1]).speaker.evidence["outcome"] == "same"
    assert room.refused(allison[0], carlo[0]) == "speaker_mismatch"


@pytest.mark.skipif(not SOUNDS.exists(), reason="needs Debian's asterisk-core-sounds-*-g722")
def test_another_persons_speech_before_ones_own_is_seen(room: Room) -> None:
    allison, carlo = prompts("en_US_f_Allison"), prompts("it_IT_m_Carlo")
    spliced = [soundfile.read(io.BytesIO(one), dtype="float32")[0] for one in (carlo[0], allison[0])]
    found = room.examine(wav(np.concatenate(spliced), 16_000), allison[1]).speaker
    assert (found.evidence["outcome"], found.doubt) == ("doubtful", "speaker_doubtful")


def test_what_we_made_can_not_consent(room: Room) -> None:
    """The signed file, the file without its manifest, and the keyed mark alone."""
    clean = ANNA.record(SAMPLE, "en-us")
    samples, rate = soundfile.read(io.BytesIO(clean), dtype="float32")
    stamped = Stamper(Signer(room.keys)).stamp(samples, rate, disclosure("c" * 32))
    presence = PresenceMark().embed(samples, rate, strength=1.5)
    at_24k = soxr.resample(samples, rate, 24_000)
    marker = Marker()
    marker.learn(1, room.known.watermark_keys[1])
    keyed = marker.mark(at_24k, WatermarkTag(1, 4711))
    for marked in (stamped.data, wav(presence, rate), wav(keyed, 24_000)):
        with pytest.raises(RecordingRejected) as error:
            room.examiner._marks.unmarked(room.known, [clean, marked])
        assert error.value.code == "recording_synthetic"
    assert room.refused(clean, stamped.data) == "recording_synthetic", "before anything else is said of it"


def test_our_own_clip_is_known_by_its_manifest_while_it_is_whole(room: Room) -> None:
    samples, rate = soundfile.read(io.BytesIO(ANNA.record(SAMPLE, "en-us")), dtype="float32")
    stamped = Stamper(Signer(room.keys)).stamp(samples, rate, disclosure("d" * 32)).data
    whole = room.examiner.own_clip(stamped)
    assert whole is not None
    assert (whole.clip_id, whole.basis, whole.intact) == ("d" * 32, "design", True)
    altered = bytearray(stamped)
    altered[len(altered) // 2] ^= 1
    found = room.examiner.own_clip(bytes(altered))
    assert found is None or not found.intact
    assert room.examiner.own_clip(wav(samples, rate)) is None


@dataclass(frozen=True)
class Signer:
    """The manifest's signer, from key files."""

    keys: FileKeyProvider

    def certificate_chain(self) -> bytes:
        return self.keys.certificate_chain()

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return self.keys.sign_manifest(message, chain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keys, name)


def disclosure(clip_id: str) -> Disclosure:
    return Disclosure(
        clip_id=clip_id, voice_id="design", basis="design", consent_id=None, consent_version=None,
        purpose="narration", language="en", generated_at=time.time(), provider="Example Publishing",
        system_version="0.1.0", engine="embedded", model="formant", model_digest="d" * 64, is_clone=False,
        audit_leaf=7, checkpoint="note",
    )  # fmt: skip


def wav(samples: Any, rate: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.asarray(samples, dtype=np.float32), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def prompts(speaker: str) -> list[bytes]:
    """Two recordings of six seconds, of different prompts."""
    import av

    pieces: list[Any] = []
    for path in sorted((SOUNDS / speaker).glob("conf-*.g722")):
        with av.open(str(path), format="g722") as container:
            pieces += [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    sound = np.concatenate(pieces).astype(np.float32) / 32_768
    return [wav(sound[at : at + 96_000], 16_000) for at in (0, 96_000)]

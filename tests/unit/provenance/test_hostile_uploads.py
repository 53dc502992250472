"""Whatever is handed in, the answer is a verdict or an error that says what to do, within the memory that was given."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from provenance.audio import Limits
from provenance.decoding.budget import Budget
from provenance.decoding.pool import Decoding
from provenance.decoding.process import DecodingProcess
from provenance.errors import AudioTooCostly, AudioUnreadable, DecodingUnavailable, ProvenanceError
from provenance.stamp import StampedClip
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import speech_like
from tests.unit.provenance.hostile import ANSWERED, RATE, Originals, Upload, encoded, uploads

LIMITS = Limits(max_bytes=4 << 20, max_seconds=30.0)


@pytest.fixture
def decoding() -> Iterator[Decoding]:
    made = Decoding(at_once=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def originals(clip: StampedClip) -> Originals:
    return Originals.around(clip.data)


def peak_kib(pid: int) -> int:
    """Of the physical memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def answer(verifier: Verifier, upload: Upload) -> str:
    try:
        verifier.verify(upload.data)
    except ProvenanceError as exc:
        return exc.code if len(exc.message) > 20 else "an error that says nothing"
    return ANSWERED


def handed_in(count: int, originals: Originals, authority: Authority, decoding: Decoding) -> None:
    verifier = Verifier(authority.root_pem, limits=LIMITS, decoding=decoding)
    wrong, peak = [], 0
    for upload in uploads(count, originals):
        given = answer(verifier, upload)
        if given not in upload.answers:
            wrong.append((upload.name, given))
        peak = max([peak, *(peak_kib(process.pid or 0) for process in decoding.processes())])
    assert not wrong
    assert 0 < peak < Budget().memory_bytes // 1024


def test_fifty_hostile_uploads_each_get_an_answer(
    originals: Originals, authority: Authority, decoding: Decoding
) -> None:
    handed_in(66, originals, authority, decoding)


@pytest.mark.long
def test_hundreds_of_hostile_uploads_each_get_an_answer(
    originals: Originals, authority: Authority, decoding: Decoding
) -> None:
    handed_in(440, originals, authority, decoding)


@pytest.mark.long
def test_a_day_of_silence_is_refused_by_its_header(authority: Authority, decoding: Decoding) -> None:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", 8_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(24):
            file.write(np.zeros(3600 * 8_000, np.int16))
    assert len(out.getvalue()) < 16 << 20
    looked = decoding.look(out.getvalue(), authority.root_pem)
    assert looked.refused is not None
    assert looked.refused.code == "audio_too_long"


# what the process can't do ----------------------------------------------------------------------------------


def test_the_process_that_reads_uploads_can_open_no_file_and_no_socket(
    authority: Authority, decoding: Decoding
) -> None:
    decoding.look(encoded(np.zeros(4_000, np.float32), "wav"), authority.root_pem)
    (process,) = decoding.processes()
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    most = next(int(line.split()[3]) for line in limits.splitlines() if line.startswith("Max open files"))
    open_now = [int(entry.name) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert most == 1 + max(open_now) == len(open_now)
    for bound in ("Max core file size", "Max file size"):
        line = next(line for line in limits.splitlines() if line.startswith(bound))
        assert line.split()[-3:-1] == ["0", "0"]


def test_the_process_knows_no_secret_of_ours(
    authority: Authority, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for strangers")
    decoding.look(encoded(np.zeros(4_000, np.float32), "wav"), authority.root_pem)
    (process,) = decoding.processes()
    assert b"not for strangers" not in Path(f"/proc/{process.pid}/environ").read_bytes()


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus", "ogg", "m4a"])
def test_every_format_that_is_offered_is_read_with_nothing_left_to_open(
    form: str, authority: Authority, decoding: Decoding
) -> None:
    looked = decoding.look(encoded(speech_like(1.0), form), authority.root_pem)
    assert looked.recording is not None
    assert 0.9 < looked.recording.seconds < 1.2


def test_an_address_inside_a_file_is_not_followed(authority: Authority, decoding: Decoding) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        lists = (f"#EXTM3U\n#EXTINF:1,\n{address}\n", f"ffconcat version 1.0\nfile '{address}'\n")
        for playlist in lists:
            assert decoding.look(playlist.encode(), authority.root_pem).refused is not None
        with pytest.raises(BlockingIOError):
            server.accept()


# a process that fails ---------------------------------------------------------------------------------------


def good() -> bytes:
    return encoded(speech_like(0.5), "wav")


def test_an_upload_that_kills_its_process_is_refused_and_the_next_one_is_read(
    authority: Authority, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding.look(good(), authority.root_pem)
    (first,) = decoding.processes()
    asked = DecodingProcess._answer

    def killed(process: DecodingProcess, *args: object) -> object:
        os.kill(process.pid or 0, signal.SIGKILL)
        return asked(process, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as meddling, pytest.raises(AudioTooCostly):
        meddling.setattr(DecodingProcess, "_answer", killed)
        decoding.look(good() + bytes(1 << 20), authority.root_pem)
    assert decoding.look(good(), authority.root_pem).recording is not None
    (second,) = decoding.processes()
    assert second.pid != first.pid


def test_an_upload_that_takes_too_long_is_ended(authority: Authority) -> None:
    decoding = Decoding(at_once=1, budget=Budget(wall_s=0.02))
    slow = encoded(np.zeros(600 * 8_000, np.float32), "flac", 8_000)
    with pytest.raises(AudioTooCostly) as refused:
        decoding.look(slow, authority.root_pem)
    assert refused.value.code == "audio_too_costly"
    assert decoding.processes() == ()


def test_each_upload_has_its_own_share_of_processor_time(authority: Authority) -> None:
    """Ended by the kernel when it is used up; the clock of a process never goes back, so the bound goes with it."""
    decoding = Decoding(at_once=1, budget=Budget(cpu_s=7))
    for _ in range(2):
        decoding.look(good(), authority.root_pem)
        (process,) = decoding.processes()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max cpu time"))
        assert 7 < int(line.split()[3]) <= 7 + 30
    decoding.close()


def test_an_upload_that_takes_too_much_memory_is_ended(authority: Authority) -> None:
    decoding = Decoding(at_once=1, budget=Budget(memory_bytes=120 << 20))
    assert decoding.look(good(), authority.root_pem).recording is not None
    with pytest.raises(AudioTooCostly):
        decoding.look(good() + bytes(60 << 20), authority.root_pem)
    assert decoding.look(good(), authority.root_pem).recording is not None
    decoding.close()


def test_a_process_is_replaced_after_its_uses(authority: Authority) -> None:
    decoding = Decoding(at_once=1, budget=Budget(uses=2))
    seen = []
    for _ in range(4):
        decoding.look(good(), authority.root_pem)
        seen.append(decoding.processes()[0].pid)
    assert seen[0] == seen[1] != seen[2] == seen[3]
    decoding.close()


def test_a_process_that_ended_while_nobody_asked_costs_no_upload(authority: Authority) -> None:
    decoding = Decoding(at_once=1, budget=Budget(idle_s=0.05))
    for _ in range(3):
        assert decoding.look(good(), authority.root_pem).recording is not None
        if (pid := decoding.processes()[0].pid) is not None:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    decoding.close()


def test_uploads_wait_for_a_turn_and_no_more_processes_are_made(authority: Authority) -> None:
    decoding = Decoding(at_once=2)
    threads = [threading.Thread(target=decoding.look, args=(good(), authority.root_pem)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(decoding.processes()) <= 2
    decoding.close()


def test_no_process_is_no_verdict(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(subprocess, "Popen", fails)
    with pytest.raises(DecodingUnavailable):
        Decoding().look(good(), authority.root_pem)


@pytest.mark.parametrize("sidecar", [b"", bytes((2 << 20) + 1)], ids=["empty", "huge"])
def test_a_sidecar_is_bounded_before_it_is_read(
    authority: Authority, decoding: Decoding, sidecar: bytes
) -> None:
    with pytest.raises(AudioUnreadable) as refused:
        decoding.look(good(), authority.root_pem, sidecar=sidecar)
    assert refused.value.code == "manifest_unreadable"
    assert decoding.processes() == ()


def test_samples_come_back_finite_and_bounded(authority: Authority, decoding: Decoding) -> None:
    out, wild = io.BytesIO(), speech_like(0.5)
    wild[::7], wild[::11], wild[::13] = np.nan, np.inf, 3e38
    soundfile.write(out, wild, RATE, format="WAV", subtype="FLOAT")
    recording = decoding.look(out.getvalue(), authority.root_pem).recording
    assert recording is not None
    assert np.isfinite(recording.samples).all()
    assert np.abs(recording.samples).max() <= 4.0


@pytest.mark.parametrize("codec", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_a_decoder_that_is_not_on_the_list_is_not_run(
    authority: Authority, decoding: Decoding, codec: str
) -> None:
    out = io.BytesIO()
    soundfile.write(out, speech_like(0.5), RATE, format="WAV", subtype=codec)
    refused = decoding.look(out.getvalue(), authority.root_pem).refused
    assert refused is not None
    assert refused.code == "audio_unreadable"

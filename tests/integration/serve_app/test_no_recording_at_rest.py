"""Enrol a recording of more than 5 MB, clone from it, then search everything that the instance may have written for
it: not found (DESIGN I6). And the search finds what is planted."""

from __future__ import annotations

import base64
import io
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.integration.serve_app.instance import Instance, recording

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

TRANSCRIPT = "Heliotrope wardrobes sang quietly beneath nineteen perpendicular umbrellas."
RATE = 48_000


@pytest.fixture(scope="module")
def sample() -> bytes:
    made = recording(59.5, seed=3, rate=RATE)
    assert len(made) > 5_000_000
    return made


def markers(wav: bytes) -> dict[str, bytes]:
    """Windows of the recording in every form in which one of our processes ever holds it."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    as_sent = base64.b64encode(wav)
    found: dict[str, bytes] = {}
    for place in (0.03, 0.4, 0.75, 0.98):
        start = int(place * samples.size)
        window = samples[start : start + 24]
        found[f"int16 at {place}"] = window.tobytes()
        found[f"float32 at {place}"] = (window[:16].astype(np.float32) / 32768).tobytes()
        found[f"float64 at {place}"] = (window[:8].astype(np.float64) / 32768).tobytes()
        middle = int(place * len(as_sent))
        found[f"base64 at {place}"] = as_sent[middle : middle + 48]
    found["transcript"] = TRANSCRIPT[:40].encode()
    found["transcript in UTF-16"] = TRANSCRIPT[:40].encode("utf-16-le")
    return found


def search(paths: Iterator[Path], wanted: dict[str, bytes]) -> dict[str, str]:
    """Marker → the first file that holds it."""
    hits: dict[str, str] = {}
    for path in paths:
        try:
            with path.open("rb") as file:
                for offset, piece in _pieces(file.fileno()):
                    for name, marker in wanted.items():
                        if name not in hits and marker in piece:
                            hits[name] = f"{path} near {offset}"
        except OSError:
            continue  # gone meanwhile, or not for reading
    return hits


def _pieces(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """What a file really holds; the holes of a sparse one, such as an object store's, are left out."""
    size, at = os.fstat(descriptor).st_size, 0
    step, overlap = 16 * mmap.PAGESIZE * 64, 256
    while at < size:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
            end = os.lseek(descriptor, at, os.SEEK_HOLE)
        except OSError:
            return  # nothing but a hole is left
        for start in range(at, end, step):
            yield start, os.pread(descriptor, min(step, end - start) + overlap, start)
        at = end


def files_of(instance: Instance) -> Iterator[Path]:
    """Data, temporary folders, Ray's session with its logs and spill, shared memory, and every regular file that one
    of its processes holds open, deleted or not: an object store lives in one that has no name any more."""
    roots = [instance.data_dir, instance.temporary, instance.folder, Path("/dev/shm"), Path("/var/tmp")]
    for root in roots:
        yield from (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    yield instance.errors
    yield from (p for p in Path(tempfile.gettempdir()).glob("*") if p.is_file())
    for process in instance.family():
        yield from held_open(process.pid)


def held_open(pid: int) -> Iterator[Path]:
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(
            ("/dev/null", "/dev/pts", "/proc", "/sys", "/usr", "/lib")
        ):
            yield link


def test_a_recording_leaves_no_trace(instance: Instance, sample: bytes) -> None:
    voice_id, token, sentence = instance.enrol(sample, TRANSCRIPT, name="Searched for")
    for text in ("Spoken in a voice that was lent.", "Spoken once more."):
        answer = instance.post(
            "/v1/voice-clone",
            {
                "text": text,
                "language": "en",
                "voice_id": voice_id,
                "consent_token": token,
                "purpose": "narration",
            },
        )
        assert answer.status_code == 200, answer.text
    wanted = markers(sample)
    files = list(files_of(instance))
    assert any("/logs/" in str(f) for f in files), "Ray's logs are among them"
    assert any("/proc/" in str(f) and "plasma" in str(f.readlink()) for f in files if f.is_symlink()), (
        "and its object store"
    )
    assert search(iter(files), wanted) == {}
    # What is spoken, and what was to be read aloud, is in no log either; the ledger alone knows the sentence.
    told = {"text": b"Spoken in a voice", "sentence": sentence.encode()[:60]}
    logs = (f for f in files if instance.data_dir not in (f.readlink() if f.is_symlink() else f).parents)
    assert search(logs, told) == {}


def test_the_search_finds_what_is_planted(instance: Instance, sample: bytes, tmp_path: Path) -> None:
    wanted = markers(sample)
    samples, _ = soundfile.read(io.BytesIO(sample), dtype="int16")
    forms = {
        "int16": samples.tobytes(),
        "float32": (samples.astype(np.float32) / 32768).tobytes(),
        "float64": (samples / 32768).tobytes(),
        "base64": base64.b64encode(sample),
        "transcript": TRANSCRIPT.encode() + TRANSCRIPT.encode("utf-16-le"),
    }
    for name, form in forms.items():
        planted = instance.ray / "planted.bin"
        planted.write_bytes(b"\0" * 1_000_000 + form)
        try:
            hits = search(files_of(instance), wanted)
        finally:
            planted.unlink()
        assert set(hits) == {key for key in wanted if key.startswith(name)}, name


def test_the_search_sees_into_a_file_that_has_no_name(sample: bytes) -> None:
    with tempfile.TemporaryFile(dir="/dev/shm") as nameless:
        nameless.truncate(400_000_000)  # mostly a hole, as an object store is
        nameless.seek(300_000_000)
        nameless.write(sample)
        nameless.flush()
        hits = search(held_open(os.getpid()), markers(sample))
    assert {name.split()[0] for name in hits} == {"int16"}

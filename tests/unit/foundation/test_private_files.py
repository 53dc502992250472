"""A file is there whole or not at all; a secret's file is its owner's alone; a lock ends with its holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.private_files import (
    KeyFileUnsafe,
    locked,
    make_private_folder,
    read_private,
    replacing,
    require_private_folder,
    unfinished,
    write_private,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_written_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secret", b"one")
        make_private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert mode(tmp_path / "secret") == 0o600
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert read_private(tmp_path / "secret") == b"one"


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, loose: int) -> None:
    write_private(tmp_path / "secret", b"one")
    (tmp_path / "secret").chmod(loose)
    with pytest.raises(KeyFileUnsafe):
        read_private(tmp_path / "secret")


def test_a_link_and_a_folder_are_no_secret_s_file(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"one")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(KeyFileUnsafe):
            read_private(path)


def test_a_missing_file_and_a_missing_folder_are_told_from_unsafe_ones(tmp_path: Path) -> None:
    for look in (read_private, require_private_folder):
        with pytest.raises(FileNotFoundError):
            look(tmp_path / "nothing")


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir(mode=0o750)
    with pytest.raises(KeyFileUnsafe):
        make_private_folder(tmp_path / "loose")


def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as copy:
        copy.write_bytes(b"half of the n")
        assert path.read_bytes() == b"old"
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_for_everybody_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "file") as copy:
            copy.write_bytes(b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o640
    assert (tmp_path / "file").read_bytes() == b"new"


def test_what_a_killed_writer_leaves_behind_is_found(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from foundation.private_files import replacing
with replacing(Path({str(tmp_path / "file")!r})) as copy:
    copy.write_bytes(b"a secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    (copy,) = unfinished(tmp_path / "file")
    assert copy.read_bytes() == b"a secret"
    assert unfinished(tmp_path / "fil") == []


def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from foundation.private_files import locked
with locked(Path({str(tmp_path / "lock")!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    import fcntl

    descriptor = os.open(tmp_path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    other.kill()
    other.communicate()
    with locked(tmp_path / "lock"):
        pass

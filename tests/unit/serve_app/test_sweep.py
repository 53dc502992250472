"""What a killed instance left is swept up; what only looks like it is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.runtime import start as runtime


@pytest.fixture
def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runtime, "_SHORT", tmp_path)
    (tmp_path / "vouch-x").mkdir()
    return tmp_path


def test_the_folder_of_a_dead_instance_is_removed(place: Path, dead_pid: int) -> None:
    (place / "vouch-x" / "owner.pid").write_text(str(dead_pid))
    runtime._sweep_up_after_the_dead()
    assert not (place / "vouch-x").exists()


def test_a_folder_whose_owner_is_a_link_was_not_made_by_us(place: Path, dead_pid: int) -> None:
    (place / "number").write_text(str(dead_pid))
    (place / "vouch-x" / "owner.pid").symlink_to(place / "number")
    runtime._sweep_up_after_the_dead()
    assert (place / "vouch-x").exists()

"""Qwen3-TTS needs no SoX, so nobody is told that there is none; whoever needs it is still told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_IMPORT = """
import os
ask = os.popen
from speech.qwen.sox_absent import import_sox
import_sox()
import logging, sox
assert os.popen is ask and not logging.getLogger("sox").disabled
try:
    sox.Transformer().build("a.wav", "b.wav")
except Exception as error:
    print(type(error).__name__)
"""


def test_the_wrapper_is_imported_without_a_word_and_fails_only_when_used(tmp_path: Path) -> None:
    pytest.importorskip("sox")
    bare = {**os.environ, "PATH": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT], env=bare, capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert found.stdout.strip()

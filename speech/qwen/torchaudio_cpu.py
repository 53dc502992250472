"""torchaudio beside a CPU-only torch.

The published torchaudio wheel links CUDA: next to a CPU build of torch its compiled extension raises OSError,
and with it the whole package and `qwen_tts` fail to import. "No extension" is a state that torchaudio itself
supports, so this module puts it there, only where the real one raised OSError. It hides no other failure.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

_EXTENSION: Final = "torchaudio._extension"


def import_torchaudio() -> ModuleType:
    """torchaudio, as pure Python where its extension cannot load. Raises ImportError if not installed."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        sys.modules[_EXTENSION] = _no_extension()
        return importlib.import_module("torchaudio")


def _no_extension() -> ModuleType:
    absent = ModuleType(_EXTENSION, "The extension that cannot load here.")
    vars(absent).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=_unchanged
    )
    return absent


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function

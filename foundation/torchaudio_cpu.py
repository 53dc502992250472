"""torchaudio beside a CPU-only torch.

The published torchaudio wheel links CUDA, so its compiled extension cannot load next to a CPU build of torch,
and the whole package then fails to import. "No extension" is a state that torchaudio itself supports; this
module puts it there, and only where the real extension raised OSError. Never used to hide any other failure.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

_EXTENSION: Final = "torchaudio._extension"
_LOCK: Final = threading.Lock()


def import_torchaudio() -> ModuleType:
    """Import torchaudio, as pure Python where its extension cannot load. Idempotent, thread-safe.

    Raises ImportError where torchaudio is not installed.
    """
    with _LOCK:
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            sys.modules[_EXTENSION] = _no_extension()
            return importlib.import_module("torchaudio")


def _no_extension() -> ModuleType:
    stand_in = ModuleType(_EXTENSION, "Stands in for an extension that cannot load here.")
    vars(stand_in).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=_unchanged,
    )
    return stand_in


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function

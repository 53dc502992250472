"""`sox` on a machine without the program of that name.

`qwen_tts` imports the wrapper for its 25 Hz tokenizer, which none of our checkpoints has. The wrapper asks a shell for
the program as soon as it is imported; where there is none, the shell and the wrapper each complain on standard error,
in every process. It works without: so the question is answered here, in silence. To use it still fails, and says why.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import shutil
from typing import Any


def import_sox() -> None:
    """Raises ImportError if the wrapper is not installed."""
    if shutil.which("sox") is not None:
        return
    log, ask = logging.getLogger("sox"), os.popen

    def answer(command: str, *more: Any) -> Any:
        return io.StringIO() if command.split()[:1] == ["sox"] else ask(command, *more)

    log.disabled, os.popen = True, answer  # type: ignore[assignment]
    try:
        importlib.import_module("sox")
    finally:
        log.disabled, os.popen = False, ask

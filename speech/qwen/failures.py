"""What an error means to the caller whose request it ended. No message or log line holds a text."""

from __future__ import annotations

import logging
import re
from typing import Final

import torch

from foundation.redact import type_and_place
from speech.errors import EngineBusy, SpeechError, SynthesisFailed

_log = logging.getLogger(__name__)
# A plain RuntimeError says so: of a tensor operation, and of compiled code's own buffers.
_CPU_ALLOCATOR: Final = re.compile(
    r"DefaultCPUAllocator: can't allocate memory|aoti_torch_empty_strided\(.*API call failed", re.DOTALL
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory was missing, on the device or beside it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and _CPU_ALLOCATOR.search(str(error)) is not None


def understood(error: Exception) -> SpeechError:
    """The error as a caller may see it. Of one that nobody raised on purpose only type and place are logged: its
    message might hold a text.
    """
    if isinstance(error, SpeechError):
        return error
    if out_of_memory(error):
        return EngineBusy("the engine ran out of memory; ask again later, or give it fewer slots")
    _log.error("synthesis failed: %s", type_and_place(error))
    return SynthesisFailed("the engine failed on this request; others are not affected")

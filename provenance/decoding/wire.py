"""What goes between us and the process that takes an upload apart (`foundation.worker_process`).

There: our root and the limits, then the file and, where there is one, its sidecar. Back: `FOUND`, as many `SOUND` as
there are blocks, `DONE`. JSON and float32 alone; nothing is unpickled.
"""

from __future__ import annotations

from typing import Final

FOUND: Final = b"F"
SOUND: Final = b"S"
DONE: Final = b"D"
LONGEST_JSON: Final = 256 * 1024
LONGEST_SOUND: Final = 4 * 1024 * 1024
OUT_OF_MEMORY: Final = 3  # exit status

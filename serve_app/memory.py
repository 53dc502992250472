"""What a process of the online door holds in the clear (recordings, prompts, keys) ends with it (DESIGN I6)."""

from __future__ import annotations

import resource


def no_core_dumps() -> None:
    """A crash must not write this process's memory to a disk. Cannot be undone, which is the point."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

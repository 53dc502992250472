"""What one upload may cost, and how often a process is used before a fresh one takes its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """memory_bytes: of private memory, the upload and the interpreter included. uses: uploads per process."""

    memory_bytes: int = 384 * 1024 * 1024
    cpu_s: int = 30
    wall_s: float = 60.0
    uses: int = 64
    idle_s: float = 300.0

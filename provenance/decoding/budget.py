"""What one upload may cost, and how often a process is used before a fresh one takes its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """memory_bytes: of private memory, the upload and the interpreter included. cpu_s: of processor time; stall_s:
    without any progress; wall_s: in all. turn_s: how long an upload waits for its turn. uses: uploads per process."""

    memory_bytes: int = 384 * 1024 * 1024
    cpu_s: int = 30
    stall_s: float = 30.0
    wall_s: float = 600.0
    turn_s: float = 60.0
    uses: int = 64
    idle_s: float = 300.0

"""`vouch up` with voice replicas that lose their device when they are told to.

A program, and not an import: what a program's own module defines goes to Serve's replicas by value. The device is the
edge of the world here; everything on this side of it is the product's.

    python -m tests.integration.serve_app.losing up …
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve_app.runtime import start as runtime
from vouch.cli import main

SIGN = (
    "lose-the-device"  # a file beside the data directory; whoever sees it takes it away, and loses its device
)


@contextmanager
def and_then_install(*args: Any, **kwargs: Any) -> Iterator[Any]:
    """Only when Ray runs: its settings are read when it is first imported."""
    with _own_ray(*args, **kwargs) as started:
        install()
        yield started


def install() -> None:
    from serve_app import app

    class VoiceDeployment(app.VoiceDeployment):
        async def __init__(self, config: Any, gate: Any) -> None:  # type: ignore[misc] # Serve awaits it
            await super().__init__(config, gate)
            sign = config.consent.data_dir.parent / SIGN
            for station in self._worker._engine._stations.values():  # type: ignore[attr-defined] # a QwenEngine
                batcher = station.batcher
                batcher.runner.decode = until_told(sign, batcher.runner.decode, batcher.seats)

    app.VoiceDeployment = VoiceDeployment  # type: ignore[misc]


def until_told(sign: Path, decode: Any, seats: Any) -> Any:
    """What decodes frames until the sign is seen; then not even a slot can be wiped any more."""
    is_lost = False

    def fail(*_: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def work(slots: Any) -> Any:
        nonlocal is_lost
        if sign.exists():
            sign.unlink()
            is_lost, seats.vacate = True, fail
        return fail() if is_lost else decode(slots)

    return work


if __name__ == "__main__":
    _own_ray, runtime._own_ray = runtime._own_ray, and_then_install
    main()

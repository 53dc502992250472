"""Which Ray a run uses: the one it was started in, the one it was told of, or a private one on this machine.

A private Ray takes free ports and a temporary folder of its own, so that it gets along with any other on the
machine, and is gone with the run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

from pipelines.config import NarrateConfig

log = logging.getLogger("vouch.narrate")

CONSENT_CPUS: Final = 0.25
_READ_CPUS: Final = 1.0
_GCS_ADDRESS: Final = re.compile(r"--gcs[-_]address=(\S+)")
_BACKEND_LOG_LEVEL: Final = "RAY_BACKEND_LOG_LEVEL"
_OBJECT_STORE_BYTES: Final = 256 * 1024**2  # rows of text and results; audio never goes there


@contextlib.contextmanager
def ray_for(config: NarrateConfig) -> Iterator[None]:
    """Ray for the time of one run."""
    import ray

    if ray.is_initialized():
        _warn_if_small(config)
        yield
        return
    address = address_for(config, [one.cmdline for one in _ancestors()])
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        try:
            _warn_if_small(config)
            yield
        finally:
            ray.shutdown()
        return
    with _private(config):
        yield


def address_for(config: NarrateConfig, ancestors: Iterable[Callable[[], list[str]]]) -> str | None:
    """The cluster to join; None: start one.

    A job's driver belongs to the cluster whose raylet started it. RAY_ADDRESS, which Ray sets for a job, is not
    proof: for a cluster that `ray.init` started it is the address of *any* Ray found on the machine, so a script
    could be narrated on somebody else's. ancestors: command lines of the processes above this one, nearest first.
    """
    if config.ray_address:
        return config.ray_address
    for command in ancestors:
        with contextlib.suppress(psutil.Error):
            arguments = command()
            if arguments and Path(arguments[0]).name == "raylet":
                found = _GCS_ADDRESS.search(" ".join(arguments))
                if found:
                    return found.group(1)
    return os.environ.get("RAY_ADDRESS") or None


def _ancestors() -> list[psutil.Process]:
    try:
        return psutil.Process().parents()
    except psutil.Error:
        return []


@contextlib.contextmanager
def _private(config: NarrateConfig) -> Iterator[None]:
    import ray

    # Short: unix socket paths below it may not pass 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="vouch-ray-", dir="/tmp"))
    # Ray's C++ side writes to stderr whatever the Python loggers say, and Ray Data's actors give it cause.
    quiet = _BACKEND_LOG_LEVEL not in os.environ
    os.environ.setdefault(_BACKEND_LOG_LEVEL, "fatal")
    try:
        ray.init(
            address="local",
            num_cpus=max(config.ray_cpus or os.cpu_count() or 1, _cpus_at_most(config)),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        if quiet:
            os.environ.pop(_BACKEND_LOG_LEVEL, None)


def _cpus_at_most(config: NarrateConfig) -> int:
    """Logical CPUs that all actors and one reader need at once: with fewer they wait for each other."""
    return int(CONSENT_CPUS + _READ_CPUS + config.engine_cpus * config.most_engines) + 1


def _warn_if_small(config: NarrateConfig) -> None:
    import ray

    needed = CONSENT_CPUS + _READ_CPUS + config.engine_cpus * config.engines
    free = ray.available_resources().get("CPU", 0.0)
    if free < needed:
        log.warning("%g CPUs of the cluster are free and this run needs %g: it waits for more", free, needed)

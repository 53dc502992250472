"""A crash writes no memory to a disk (DESIGN I6)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, resource, sys
from consent_service.service import ConsentService
from serve_app.config import AppConfig

config = AppConfig.local(sys.argv[1])
if sys.argv[2] == "gate":
    from serve_app.app import GateDeployment
    GateDeployment(config)
else:
    from serve_app.wiring import in_process
    async def open_door():
        async with in_process(config, ConsentService.open(config.consent)):
            pass
    asyncio.run(open_door())
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def limit_of(what: str, folder: Path) -> str:
    command = [sys.executable, "-c", PROGRAM, str(folder / what), what]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode().strip()


@pytest.mark.slow
def test_whoever_opens_the_vault_or_speaks_leaves_no_core_dump(tmp_path: Path) -> None:
    assert limit_of("gate", tmp_path) == "(0, 0)"
    assert limit_of("door", tmp_path) == "(0, 0)"

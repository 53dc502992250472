"""One installation per test, on each of the databases: a SQLite file, and a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.consent_service.aws import aws, aws_server, kms  # noqa: F401 - fixtures
from tests.unit.consent_service.databases import DATABASES, drop, ledger_url
from tests.unit.consent_service.world import World, open_world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = ledger_url(request.param)
    made = open_world(tmp_path / "data", ledger_url=url)
    yield made
    made.service.close()
    if url is not None:
        drop(url)

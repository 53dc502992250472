"""What holds for every test: no network, no telemetry, a Ray that does not crowd out a small machine, one builder of
installations, and which tests may run beside which."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.assets.installation import Template, Tenant
    from tests.assets.publisher import Publisher

# Set before anything imports the libraries that read them, and inherited by every process a test starts.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a Ray starts because a test says so, never by itself
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that ask for one of these are left out of `make test-fast`: the whole online door, a real stamper, a server that
# stands for S3 and KMS.
_MARK_OF_FIXTURE = {"house": "slow", "stamper": "slow", "aws_server": "aws"}

# What one worker of pytest-xdist runs as a whole. Every Ray is in one group: each wants the machine, and some a port
# that every Ray has. The others share engines that take seconds to load.
_RAY = (
    "tests/integration/serve_app/",
    "tests/integration/pipelines/",
    "tests/integration/cluster/",
    "tests/e2e/",
)
_ENGINES = ("tests/integration/speech/", "tests/contract/speech/")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in _MARK_OF_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(_MARK_OF_FIXTURE[name])
        if item.get_closest_marker("ray") and _group(item.nodeid) != "ray":
            raise pytest.UsageError(
                f"{item.nodeid} starts a Ray, so it belongs into one of {', '.join(_RAY)}"
            )
    # Workers take the groups in this order: the longest first, so that all end together.
    first = [*_RAY, *_ENGINES, "tests/integration/"]
    items.sort(key=lambda item: next((i for i, one in enumerate(first) if item.nodeid.startswith(one)), 99))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        """A group at a time. (The mark `xdist_group` says so too, but xdist 3.8 is deaf to it under pytest 9.2.)"""

        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    config.option.loadscopereorder = False  # it would begin with the modules of the most tests
    return Groups(config, log)


def _group(nodeid: str) -> str:
    """A test's module, unless its folder shares something."""
    if nodeid.startswith(_RAY):
        return "ray"
    module = nodeid.partition("::")[0]
    return next((folder for folder in _ENGINES if module.startswith(folder)), module)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" in metafunc.fixturenames and metafunc.definition.get_closest_marker("on_both_databases"):
        from tests.assets.databases import DATABASES

        metafunc.parametrize("world", DATABASES, indirect=True)


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Template[Tenant]]:
    """The installation that `world` copies, on the database of a given name. Built when it is first asked for."""
    from tests.assets.installation import Clock, Installation, Template

    @cache
    def template(database: str) -> Template[Tenant]:
        return Template(tmp_path_factory.mktemp("enrolled"), database, Installation.tenant, Clock())

    return template


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, enrolled: Callable[[str], Template[Tenant]]
) -> Iterator[Tenant]:
    """A tenant in an installation of the test's own. On SQLite, unless the test is marked `on_both_databases`."""
    with enrolled(getattr(request, "param", "sqlite")).copy(tmp_path) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def established(tmp_path_factory: pytest.TempPathFactory) -> Template[Publisher]:
    """The installation that `publisher` copies."""
    from tests.assets.installation import Template
    from tests.assets.publisher import Publisher

    return Template(tmp_path_factory.mktemp("established"), "sqlite", Publisher, time.time)


@pytest.fixture
def publisher(tmp_path: Path, established: Template[Publisher]) -> Iterator[Publisher]:
    """A tenant whose installation other processes open too: on the real time, and on SQLite."""
    with established.copy(tmp_path) as tenant:
        yield tenant

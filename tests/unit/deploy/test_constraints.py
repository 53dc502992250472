"""`constraints.txt` pins what our requirements pull in: every package of it, and nothing else."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_pin_is_an_exact_public_version() -> None:
    for name, version in pins().items():
        assert re.fullmatch(r"[a-z0-9-]+", name), name
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}: no local label, no URL"


def test_every_pin_satisfies_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for name, extra in project["optional-dependencies"].items():
        wanted += extra if name != "gpu" else []  # flash-attn is compiled on the machine that needs it
    pinned = pins()
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement.name


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the pins are written with Python 3.11")
def test_every_package_that_is_pulled_in_is_pinned_and_no_other() -> None:
    closure = runpy.run_path(str(ROOT / "deploy" / "freeze.py"))["closure"]
    needed, pinned = set(closure(frozenset({"embedded", "dev"}))), set(pins())
    assert needed <= pinned, "run `make constraints`"
    # What only `research` asks for is not in what `make install` installs: without it, its pins cannot be followed.
    with suppress(PackageNotFoundError):
        assert set(closure()) == pinned, "run `make constraints`"

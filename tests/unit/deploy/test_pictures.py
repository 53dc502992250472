"""The pictures in the documentation show the code as it is."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest

from tests.unit.deploy.pictures import DOCS, PICTURES, ROOT, drawn, rooms

RECORDS = sorted((DOCS / "adr").glob("0*.md"))
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
BLOCKS = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_code_says(name: str) -> None:
    path, picture = PICTURES[name]
    page = path.read_text("utf-8")
    assert page == drawn(name, page, picture()), "run: python -m tests.unit.deploy.pictures"


def test_the_rooms_are_drawn_from_the_contracts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    changed = deepcopy(project)
    for contract in changed["tool"]["importlinter"]["contracts"]:
        contract["ignore_imports"] = []
    assert "speech -. " in rooms(project)
    assert "speech -. " not in rooms(changed)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_picture_holds_no_semicolon(page: Path) -> None:
    """Mermaid reads one as the end of a statement, and then shows an error in place of the picture."""
    assert not [
        line
        for block in BLOCKS.findall(page.read_text("utf-8"))
        for line in block.splitlines()
        if ";" in line
    ]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_its_heading_and_its_status(record: Path) -> None:
    heading, blank, status, *_ = record.read_text("utf-8").splitlines()
    assert heading.startswith(f"# ADR {record.stem[:4]}: ")
    assert blank == ""
    assert status.startswith("**Status:** ")

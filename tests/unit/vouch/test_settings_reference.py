"""docs/settings.md has every setting as the models have it, and each says in a sentence what it is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.vouch.settings_reference import SECTIONS, Setting, render, settings

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "settings.md"
ALL = {f"{model.__name__}.{each.name}": each for _, model, _ in SECTIONS for each in settings(model)}


def test_the_page_is_what_the_models_say() -> None:
    stale = "run: python -m tests.unit.vouch.settings_reference > docs/settings.md"
    assert DOCUMENT.read_text(encoding="utf-8") == render(), stale


def test_every_part_of_the_configuration_is_there() -> None:
    page = render()
    for _, model, _ in SECTIONS:
        for setting in settings(model):
            assert f"| `{setting.name}` |" in page
    assert page.count("| `consent.data_dir` |") == 1


def test_every_setting_that_a_page_names_exists() -> None:
    known = {setting.name.removeprefix("consent.") for _, model, _ in SECTIONS for setting in settings(model)}
    sections = "|".join(sorted({name.partition(".")[0] for name in known if "." in name}))
    named = {
        f"{page.name}: {name}"
        for page in [
            ROOT / "README.md",
            *(ROOT / "docs").glob("*.md"),
            *(ROOT / "docs" / "consent").glob("*.md"),
        ]
        for name in re.findall(
            rf"`(?:consent\.)?((?:{sections})\.[a-z_]+)(?::[^`]*)?`", page.read_text("utf-8")
        )
        if not name.endswith((".py", ".md"))
    }
    assert len(named) > 20
    assert not {each for each in named if each.partition(": ")[2] not in known}


@pytest.mark.parametrize("setting", ALL.values(), ids=ALL)
def test_every_setting_says_what_it_is_for(setting: Setting) -> None:
    assert setting.about.endswith(".")
    assert not setting.kind.startswith("<class")
    if setting.name.endswith(("_s", "_days", "_bytes")):
        assert setting.unit

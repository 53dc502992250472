"""What a configuration may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.config import AppConfig

ENGINE = {"name": "embedded"}


def test_profile_cluster_never_makes_keys(tmp_path: Path) -> None:
    """Not even by leaving out what the consent service's own profile is."""
    said = {"profile": "cluster", "consent": {"data_dir": tmp_path}, "engine": ENGINE}
    assert AppConfig.model_validate(said).consent.profile == "cluster"
    with pytest.raises(ValidationError, match=r"consent\.profile"):
        AppConfig.model_validate({**said, "consent": {"data_dir": tmp_path, "profile": "local"}})


def test_profile_local_is_local_throughout_unless_it_says_otherwise(tmp_path: Path) -> None:
    said = {"consent": {"data_dir": tmp_path}, "engine": ENGINE}
    assert AppConfig.model_validate(said).consent.profile == "local"
    careful = AppConfig.model_validate({**said, "consent": {"data_dir": tmp_path, "profile": "cluster"}})
    assert (careful.profile, careful.consent.profile) == ("local", "cluster")


@pytest.mark.parametrize("consent", ["", "consent:\n", "consent: {examination: {speaker: none}}\n"])
def test_on_one_machine_only_the_engine_has_to_be_named(tmp_path: Path, consent: str) -> None:
    file = tmp_path / "vouch.yaml"
    file.write_text(f"engine: {{name: embedded}}\n{consent}", encoding="utf-8")
    assert AppConfig.load(file, tmp_path / "home").consent.data_dir == tmp_path / "home"


def test_a_folder_that_is_named_is_the_one_that_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "vouch.yaml"
    file.write_text(f"engine: {{name: embedded}}\nconsent: {{data_dir: {tmp_path}/mine}}\n", encoding="utf-8")
    assert AppConfig.load(file, tmp_path / "home").consent.data_dir == tmp_path / "mine"


@pytest.mark.parametrize(
    "said", ["profile: cluster\nengine: {name: embedded}\n", "engine\n", "consent: []\n", ""]
)
def test_a_cluster_names_its_folder_and_nonsense_is_refused(tmp_path: Path, said: str) -> None:
    file = tmp_path / "vouch.yaml"
    file.write_text(said, encoding="utf-8")
    with pytest.raises(ValidationError):
        AppConfig.load(file, tmp_path / "home")

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

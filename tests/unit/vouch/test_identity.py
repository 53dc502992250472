"""The file with this machine's keys: made once, for its owner alone, and refused when it may have been read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from consent_service.errors import KeyFileUnsafe
from serve_app.config import AppConfig
from vouch.home import open_home


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppConfig:
    monkeypatch.delenv("VOUCH_API_KEY", raising=False)
    return AppConfig.local(tmp_path / "data")


def test_a_second_command_finds_the_keys_of_the_first(config: AppConfig) -> None:
    with open_home(config) as home:
        first = home.api_key("narrator")
    with open_home(config) as home:
        assert home.api_key("narrator") == first


def test_an_identity_that_others_can_read_or_that_is_a_link_is_refused(
    config: AppConfig, tmp_path: Path
) -> None:
    with open_home(config):
        pass
    identity = config.consent.data_dir / "identity.json"
    identity.chmod(0o640)
    with pytest.raises(KeyFileUnsafe), open_home(config):
        pass
    identity.chmod(0o600)
    identity.rename(tmp_path / "elsewhere.json")
    identity.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(KeyFileUnsafe), open_home(config):
        pass


def test_two_first_commands_at_once_make_one_identity(config: AppConfig) -> None:
    keys: list[str] = []
    at_once = threading.Barrier(3)

    def first_command() -> None:
        at_once.wait()
        with open_home(config) as home:
            keys.append(home.api_key("admin"))

    threads = [threading.Thread(target=first_command) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 3
    assert len(set(keys)) == 1

"""The file with this machine's keys: made once, for its owner alone, and refused when it may have been read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import Conflict
from consent_service.tenants.service import Tenants
from foundation.private_files import KeyFileUnsafe
from serve_app.config import AppConfig
from vouch import home
from vouch.home import open_home


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppConfig:
    monkeypatch.delenv("VOUCH_API_KEY", raising=False)
    return AppConfig.local(tmp_path / "data")


def test_a_second_command_finds_the_keys_of_the_first(config: AppConfig) -> None:
    with open_home(config) as opened:
        first = opened.api_key("narrator")
    with open_home(config) as opened:
        assert opened.api_key("narrator") == first


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
        with open_home(config) as opened:
            keys.append(opened.api_key("admin"))

    threads = [threading.Thread(target=first_command) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.mark.parametrize("interrupted_at", ["after the tenant", "after a key", "before the file"])
def test_a_first_command_that_was_interrupted_is_finished_by_the_next(
    config: AppConfig, monkeypatch: pytest.MonkeyPatch, interrupted_at: str
) -> None:
    with monkeypatch.context() as broken:
        if interrupted_at == "before the file":
            write = home.write_private

            def cut(path: Path, content: bytes) -> None:
                if path.name == "identity.json":
                    raise KeyboardInterrupt
                write(path, content)

            broken.setattr(home, "write_private", cut)
        else:
            left = iter([True] if interrupted_at == "after a key" else [])
            create = Tenants.create_key

            def interrupted(*args: Any, **kwargs: Any) -> str:
                if not next(left, False):
                    raise KeyboardInterrupt
                return create(*args, **kwargs)

            broken.setattr(Tenants, "create_key", interrupted)
        with pytest.raises(KeyboardInterrupt), open_home(config):
            pass
    with open_home(config) as second:
        assert second.act_as("admin").tenant == "local"
        assert second.act_as("narrator").roles
    assert sorted(file.name for file in config.consent.data_dir.glob("identity*")) == ["identity.json"]


def test_whoever_deleted_the_identity_gets_no_new_one(config: AppConfig) -> None:
    with open_home(config):
        pass
    (config.consent.data_dir / "identity.json").unlink()
    with pytest.raises(Conflict), open_home(config):
        pass
    assert not list(config.consent.data_dir.glob("identity*"))

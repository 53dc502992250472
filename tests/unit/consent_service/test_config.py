"""A configuration holds no secret: it goes into job files, over process borders, and into reprs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from consent_service.config import ConsentConfig
from consent_service.errors import LedgerUnavailable
from foundation.private_files import KeyFileUnsafe

PASSWORD = "marked-violet-orchard"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://vouch:{PASSWORD}@db/vouch",
        f"postgresql+psycopg://db/vouch?user=vouch&password={PASSWORD}",
        f"postgresql+psycopg://vouch:{PASSWORD}${{MORE}}@db/vouch",
        f"postgresql+psycopg://vouch:{PASSWORD}@[db/vouch",
    ],
)
def test_a_password_in_the_ledger_s_address_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ConsentConfig(data_dir=tmp_path, ledger_url=url)
    assert PASSWORD not in str(refused.value)
    assert "ledger_url_file" in str(refused.value)


def test_the_environment_completes_an_address_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ConsentConfig(
        data_dir=tmp_path, ledger_url="postgresql+psycopg://vouch:${LEDGER_PASSWORD}@db/vouch"
    )
    with pytest.raises(LedgerUnavailable, match="LEDGER_PASSWORD"):
        _ = config.url
    monkeypatch.setenv("LEDGER_PASSWORD", f"{PASSWORD}@/:%")
    assert config.url == f"postgresql+psycopg://vouch:{PASSWORD}%40%2F%3A%25@db/vouch"
    whole = ConsentConfig(data_dir=tmp_path, ledger_url="${LEDGER_PASSWORD}")
    assert whole.url == f"{PASSWORD}@/:%"
    for each in (config, whole):
        assert PASSWORD not in repr(each) + each.model_dump_json()
        assert ConsentConfig.model_validate_json(each.model_dump_json()) == each


def test_a_file_of_the_owner_s_alone_holds_an_address(tmp_path: Path) -> None:
    path = tmp_path / "ledger.url"
    config = ConsentConfig(data_dir=tmp_path, ledger_url_file=path)
    with pytest.raises(LedgerUnavailable):
        _ = config.url
    path.write_text(f"postgresql+psycopg://vouch:{PASSWORD}@db/vouch\n")
    path.chmod(0o640)
    with pytest.raises(KeyFileUnsafe):
        _ = config.url
    path.chmod(0o600)
    assert config.url == f"postgresql+psycopg://vouch:{PASSWORD}@db/vouch"
    assert PASSWORD not in repr(config) + config.model_dump_json()


def test_without_anything_said_everything_lies_in_the_data_folder(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path)
    assert config.url == f"sqlite:///{tmp_path}/ledger.sqlite3"
    assert config.vault_place == tmp_path / "vault"
    assert config.wrapped_keys_place == tmp_path / "wrapped-keys"
    assert config.keys_place == tmp_path / "keys"


def test_two_addresses_or_bare_keys_in_s3_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="not both"):
        ConsentConfig(data_dir=tmp_path, ledger_url="sqlite:////x", ledger_url_file=tmp_path / "x")
    with pytest.raises(ValidationError, match="KMS"):
        ConsentConfig(data_dir=tmp_path, keys_url="s3://bucket/keys")

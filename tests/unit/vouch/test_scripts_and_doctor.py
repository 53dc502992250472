"""Scripts are made and checked without a GPU or a ledger; the doctor tells what is wrong and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from consent_service.keys import FileKeyProvider
from tests.assets.aws import Aws, aws, aws_server  # noqa: F401 - fixtures
from tests.unit.vouch.conftest import Vouch


def test_a_table_becomes_a_script_and_a_faulty_row_is_named(vouch: Vouch) -> None:
    source, target = vouch.folder / "book.csv", vouch.folder / "book.parquet"
    source.write_text("text\nThe lamp was lit.\n…\n", encoding="utf-8")
    prepare = (
        "scripts",
        "prepare",
        source,
        target,
        "-l",
        "en",
        "--voice",
        "preset:Vivian",
        "--id-prefix",
        "line-",
    )
    made = vouch.json(*prepare, "--purpose", "narration")
    assert made == {"rows": 2, "file": str(target)}
    assert pq.read_table(target).column("language").to_pylist() == ["en", "en"]
    checked = vouch.json("scripts", "check", target)
    assert checked["counts"] == {"text_empty": 1}
    assert checked["rows"] == 2
    assert not (vouch.folder / "data").exists(), "a check opens no ledger"


def test_a_script_with_an_id_twice_is_refused(vouch: Vouch) -> None:
    source = vouch.folder / "book.jsonl"
    row = {"id": "a", "text": "x", "language": "en", "voice": "v", "purpose": "narration"}
    source.write_text("\n".join([json.dumps(row)] * 2), encoding="utf-8")
    assert vouch.refusal("scripts", "prepare", source, vouch.folder / "out.parquet") == "id_duplicate"
    assert not (vouch.folder / "out.parquet").exists()


def test_the_doctor_finds_nothing_wrong_here(vouch: Vouch) -> None:
    report = vouch.json("doctor")
    assert report["ok"]
    assert {"python", "ledger", "engine", "disk"} <= {check["check"] for check in report["checks"]}


def test_the_doctor_says_what_to_do(vouch: Vouch) -> None:
    vouch.json("voice", "list")
    (vouch.folder / "data" / "identity.json").chmod(0o644)
    result = vouch.run("doctor")
    assert result.exit_code == 1
    assert "NO  ledger" in result.stdout
    assert "→" in result.stdout
    report = json.loads(vouch.run("doctor", "--json").stdout)
    assert [check["check"] for check in report["checks"] if not check["ok"]] == ["ledger"]


def test_the_doctor_warns_years_before_nothing_can_be_signed_any_more(vouch: Vouch) -> None:
    vouch.json("voice", "list")
    keys = FileKeyProvider(vouch.folder / "data" / "keys")
    keys.write_leaf(keys.new_leaf(datetime.now(UTC) - timedelta(days=9 * 365))[0])
    (vouch.folder / "data" / "keys" / "manifest-root.pem").unlink()
    report = json.loads(vouch.run("doctor", "--json").stdout)
    (found,) = [check for check in report["checks"] if not check["ok"]]
    assert found["check"] == "leaf"
    assert "manifest-root.pem" in found["found"]


def doctor(vouch: Vouch, config: str, **env: str) -> dict[str, dict[str, Any]]:
    """What the doctor finds wrong with a configuration, by check."""
    path = vouch.folder / "vouch.yaml"
    path.write_text(config)
    result = vouch.run("doctor", "--json", env={"VOUCH_CONFIG": str(path), **env})
    assert result.exit_code == 1, result.stdout
    return {check["check"]: check for check in json.loads(result.stdout)["checks"] if not check["ok"]}


def test_a_typo_in_the_configuration_is_told_as_that_and_as_nothing_else(vouch: Vouch) -> None:
    wrong = doctor(vouch, "engine: {nmae: embedded}\n")
    assert set(wrong) == {"config"}
    assert "did you mean engine.name?" in wrong["config"]["found"]
    assert "docs/settings.md" in wrong["config"]["advice"]


def test_a_data_folder_that_cannot_be_written_is_told_as_that(vouch: Vouch) -> None:
    (vouch.folder / "file").write_text("in the way")
    wrong = doctor(
        vouch, f"engine: {{name: embedded}}\nconsent: {{data_dir: {vouch.folder / 'file' / 'data'}}}\n"
    )
    assert set(wrong) == {"ledger"}
    assert "data folder" in wrong["ledger"]["found"]
    assert "cannot be reached" not in wrong["ledger"]["found"]


def test_a_bucket_and_a_kms_key_that_do_not_exist_are_not_ok(vouch: Vouch, aws: Aws) -> None:  # noqa: F811
    there, missing = aws.bucket(versioned=False), "s3://there-is-no-such-bucket/voices"
    wrong = doctor(
        vouch,
        json.dumps(
            {
                "engine": {"name": "embedded"},
                "clip_dir": f"s3://{there}/clips",
                "consent": {
                    "data_dir": str(vouch.folder / "data"),
                    "vault_url": missing,
                    "kms": {"region": "eu-central-1", "endpoint_url": aws.url, "kek": "alias/there-is-none"},
                },
            }
        ),
    )
    assert set(wrong) == {"vault_url", "kms.kek"}
    assert "no such bucket" in wrong["vault_url"]["found"]
    assert "NotFoundException" in wrong["kms.kek"]["found"]


@pytest.mark.parametrize("module", ["vouch", "vouch.cli"])
@pytest.mark.parametrize("words", [("--version",), ("voice", "list", "--json")])
def test_the_console_script_runs(vouch: Vouch, words: tuple[str, ...], module: str) -> None:
    env = {**os.environ, "VOUCH_DATA_DIR": str(vouch.folder / "data")}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

"""The demonstration as people run it: everything as promised, nothing left behind, also when it is interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from consent_service.proofs.log import verify_export
from provenance.verify import Verifier
from tests.e2e.watched import Watched, watched

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

STEPS = ["enrol", "consent", "speak", "refusals", "narration", "verify", "revoke", "audit"]
PROMISED_REFUSALS = {
    "no consent for this key": [403, "consent_required"],
    "wrong token": [403, "consent_token_invalid"],
    "wrong purpose": [403, "purpose_not_consented"],
    "expired": [403, "consent_expired"],
    "unknown voice": [404, "voice_unknown"],
    "text too long": [413, "text_too_long"],
    "unsupported language": [400, "language_unsupported"],
    "changed text under an old grant": [403, "grant_mismatch"],
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, int, str, Path]]:
    """One run for every test that only looks at what it left: (run, exit code, standard output, its folder)."""
    cwd = tmp_path_factory.mktemp("demo")
    with watched("demo", cwd=cwd) as run:
        run.wait_for("ready at ", timeout_s=240)
        run.wait_for("[5/8]", timeout_s=240)
        code, output = run.finish(timeout_s=400)
        yield run, code, output, cwd / "demo-output"


@pytest.fixture(scope="module")
def folder(told: tuple[Watched, int, str, Path]) -> Path:
    run, code, _, folder = told
    assert code == 0, run.error
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return read


def test_every_step_is_as_promised(summary: dict[str, Any]) -> None:
    assert list(summary["steps"]) == STEPS
    assert all(step["ok"] and step["seconds"] >= 0 for step in summary["steps"].values())


def test_each_row_in_comes_out_once(summary: dict[str, Any], folder: Path) -> None:
    rows = summary["rows"]
    assert (rows["in"], rows["error"]) == (200, 0)
    assert rows["ok"] + rows["refused"] == 200
    assert min(rows["ok"], rows["refused"]) > 0
    results = pq.read_table(sorted(str(part) for part in (folder / "narration").glob("part-*.parquet")))
    assert len(set(results.column("id").to_pylist())) == results.num_rows == 200


def test_every_kind_of_refusal_was_shown(summary: dict[str, Any]) -> None:
    cases = summary["steps"]["refusals"]["cases"]
    assert {name: cases.get(name) for name in PROMISED_REFUSALS} == PROMISED_REFUSALS


def test_no_recording_is_left_and_every_clip_is_ours(folder: Path) -> None:
    assert not list(folder.rglob("vault/*"))
    verifier = Verifier((folder / "trust-anchor.pem").read_bytes())
    audio = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"RIFF"]
    assert len(audio) > 4
    for path in [*(folder / "clips").glob("*.wav"), *audio[:: len(audio) // 5]]:
        assert verifier.verify(path.read_bytes()).origin.value == "ours", path


def test_the_exported_log_verifies_on_its_own(folder: Path) -> None:
    verify_export(folder / "audit")


def test_progress_goes_to_the_terminal_and_the_end_to_standard_output(
    told: tuple[Watched, int, str, Path],
) -> None:
    run, _, output, _ = told
    assert [f"[{number}/8]" in run.error for number in range(1, 9)] == [True] * 8
    assert "Everything as promised" in output
    assert "Traceback" not in run.error


def test_nothing_that_it_started_is_left(told: tuple[Watched, int, str, Path]) -> None:
    run = told[0]
    assert run.folders, "the run was looked at while it had folders"
    assert run.ports
    assert run.remains() == []


@pytest.mark.long
def test_ctrl_c_in_the_middle_ends_it_and_the_next_run_works(tmp_path: Path) -> None:
    with watched("demo", cwd=tmp_path) as run:
        run.wait_for(" of 200 rows", timeout_s=240)
        run.interrupt()
        code, _ = run.finish(timeout_s=30)
        assert code == 130, run.error
        assert "interrupted" in run.error
        assert run.remains() == []
        assert not list((tmp_path / "demo-output").rglob("vault/*"))
    with watched("demo", "--json", cwd=tmp_path) as again:
        code, output = again.finish(timeout_s=400)
        assert code == 0, again.error
        assert json.loads(output)["ok"]
        assert again.remains() == []


def test_a_folder_of_somebody_else_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters.txt").write_text("dear")
    with watched("demo", "--output", "mine", cwd=tmp_path) as run:
        code, _ = run.finish(timeout_s=120)
    assert code == 1
    assert "[output_not_empty]" in run.error
    assert (tmp_path / "mine" / "letters.txt").read_text() == "dear"

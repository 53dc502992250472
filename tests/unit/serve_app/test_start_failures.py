"""A start that fails is one line with a stable code, and its log is kept where the line says; a late callee is waited
for."""

from __future__ import annotations

import asyncio
import io
import traceback
from pathlib import Path

import pytest

from serve_app.errors import RequestRefused
from serve_app.handles import until_answered
from serve_app.start_failures import StartFailedError, reason_in, reasons_told, start_failed
from speech.errors import EngineUnavailable


def raised(exc: Exception) -> Exception:
    try:
        raise exc
    except Exception as caught:
        return caught


def test_what_a_replica_said_comes_through_serves_traceback() -> None:
    with pytest.raises(RuntimeError) as failed, reasons_told():
        raise EngineUnavailable('no "GPU" in {this} machine')
    told = io.StringIO()
    traceback.print_exception(failed.value, file=told)
    assert reason_in(f"Deployment 'Voice' failed:\n{told.getvalue()}\nmore") == (
        "engine_unavailable", 'no "GPU" in {this} machine',
    )  # fmt: skip
    assert reason_in("something else") is None


def test_a_failed_start_is_one_line_and_its_traceback_a_file(tmp_path: Path) -> None:
    logs, ray = tmp_path / "logs" / "failed-start", tmp_path / "ray"
    (ray / "session_2026" / "logs").mkdir(parents=True)
    (ray / "session_2026" / "logs" / "raylet.err").write_text("died")
    failed = start_failed("application_not_started", raised(ValueError("inner")), logs=logs, ray=ray)
    assert failed.code == "application_not_started"
    assert failed.message == f"the application did not start (ValueError); the log is in {logs}"
    assert "inner" in (logs / "traceback.txt").read_text()
    assert (logs / "ray" / "raylet.err").read_text() == "died"
    assert logs.stat().st_mode & 0o077 == 0


def test_only_the_last_failed_start_is_kept(tmp_path: Path) -> None:
    logs = tmp_path / "failed-start"
    start_failed("ray_not_started", raised(ValueError("first")), logs=logs)
    (logs / "old").touch()
    start_failed("ray_not_started", raised(ValueError("second")), logs=logs)
    assert [path.name for path in logs.iterdir()] == ["traceback.txt"]
    assert "second" in (logs / "traceback.txt").read_text()


def test_an_error_that_has_a_code_keeps_it(tmp_path: Path) -> None:
    failed = start_failed(
        "application_not_started", raised(StartFailedError("mine", "so")), logs=tmp_path / "l"
    )
    assert (failed.code, failed.message.partition(";")[0]) == ("mine", "so")


def test_a_log_that_cannot_be_kept_does_not_hide_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = start_failed("ray_not_started", raised(ValueError()), logs=tmp_path / "file" / "logs")
    assert failed.code == "ray_not_started"
    assert "could not be kept" in failed.message


def test_a_part_that_starts_waits_for_a_callee_that_is_late_and_for_nothing_else() -> None:
    outcomes = iter([RequestRefused("ledger_unavailable", ""), RequestRefused("overloaded", ""), None])

    async def ask() -> str:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return "here"

    async def broken() -> str:
        raise RequestRefused("gate_failed", "a defect")

    assert asyncio.run(until_answered(ask, pause_s=0.0)) == "here"
    with pytest.raises(RequestRefused, match="a defect"):
        asyncio.run(until_answered(broken, pause_s=0.0))

"""Following a job survives a busy dashboard, and says so when it does not."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

from consent_service.config import ConsentConfig
from pipelines.config import NarrateConfig, NarrateSummary, Progress
from pipelines.errors import JobFailed
from pipelines.job import NarrateJob, run_here
from speech.config import EngineConfig

SUMMARY = NarrateSummary(
    rows_in=1, ok=1, refused=0, error=0, kept=0, codes={}, seconds_audio=1.0, seconds_wall=2.0, output="out"
)


class Status(enum.Enum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    def is_terminal(self) -> bool:
        return self is not Status.RUNNING


class Dashboard:
    """Answers what it is told to, one poll after another; an exception is raised."""

    def __init__(self, *polls: tuple[Status, str] | Exception) -> None:
        self._polls = list(polls)
        self._log = ""
        self.status = Status.RUNNING

    def get_job_status(self, _: str) -> Status:
        now: Any = self._polls.pop(0) if len(self._polls) > 1 else self._polls[0]
        if isinstance(now, Exception):
            raise now
        self.status, self._log = now
        return self.status

    def get_job_logs(self, _: str) -> str:
        return self._log


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.job._POLL_S", 0.0)


def lines(*done: int) -> str:
    told = (Progress(stage="narrate", rows_in=9, rows_done=one).model_dump_json() for one in done)
    return "".join(f"vouch-progress {one}\n" for one in told)


def test_a_dashboard_that_is_away_for_a_moment_costs_nothing() -> None:
    dashboard = Dashboard(
        (Status.RUNNING, lines(1)),
        RuntimeError("Request failed with status code 500"),
        ConnectionError("away"),
        (Status.SUCCEEDED, lines(1, 2) + f"vouch-summary {SUMMARY.model_dump_json()}\n"),
    )
    seen: list[int] = []
    assert NarrateJob(dashboard, "job").follow(lambda p: seen.append(p.rows_done)) == SUMMARY
    assert seen == [1, 2]


def test_a_dashboard_that_stays_away_is_said_to_be_away_with_what_ray_said() -> None:
    job = NarrateJob(Dashboard(RuntimeError("No available agent\nTraceback …")), "job", patience_s=0.0)
    with pytest.raises(JobFailed, match="No available agent") as caught:
        job.follow()
    assert caught.value.code == "cluster_unreachable"
    assert "Traceback" not in caught.value.message


def test_a_driver_that_fails_unexpectedly_tells_where_and_never_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = ConsentConfig(data_dir=tmp_path)
    config = NarrateConfig(
        input="i", output="o", consent=consent, engine=EngineConfig(name="embedded"), api_key_file=Path("k")
    )
    told = tmp_path / "config.json"
    told.write_text(config.model_dump_json())

    def fail(*_: object) -> None:
        raise ConnectionError("SECRET words")

    monkeypatch.setattr("pipelines.job.narrate", fail)
    assert run_here(["--config", str(told)]) == 1
    out = capsys.readouterr()
    assert "internal_error" in out.out
    assert "ConnectionError" in out.out
    assert "SECRET" not in out.out + out.err


def test_half_a_line_waits_for_its_other_half() -> None:
    whole = lines(7)
    job = NarrateJob(Dashboard((Status.RUNNING, whole[:20]), (Status.FAILED, whole)), "job")
    seen: list[int] = []
    with pytest.raises(JobFailed) as caught:
        job.follow(lambda p: seen.append(p.rows_done))
    assert (seen, caught.value.code) == ([7], "job_failed")

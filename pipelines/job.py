"""A narration as a Ray job: submit, follow, cancel.

What the job is told is a configuration file in the output folder, which holds paths and no secret: Ray shows
a job's command line, metadata and runtime environment to whoever can see its dashboard. The driver tells its
progress in lines of its log, as the log is what a submitter can always reach.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from foundation.errors import CodedError
from pipelines.config import NarrateConfig, NarrateSummary, Progress
from pipelines.errors import JobFailed
from pipelines.journal import STATE
from pipelines.narrate import ProgressCallback, narrate
from pipelines.storage import Folder
from synthesis.outcome import row_failure

_PROGRESS: Final = "vouch-progress "
_SUMMARY: Final = "vouch-summary "
_FAILURE: Final = "vouch-failure "
_POLL_S: Final = 0.5
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def submit(config: NarrateConfig, address: str, *, python: str | None = None) -> NarrateJob:
    """Start a narration on the cluster whose dashboard is at `address` (http://host:8265).

    Input, output, data directory and key file must be reachable from the cluster under the same names, and
    the project installed there. python: the interpreter there; None: this one on this machine, else `python`.
    Raises JobFailed with code cluster_unreachable or cluster_unauthenticated.
    """
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    output = Folder(config.output)
    submission_id = f"vouch-narrate-{secrets.token_hex(6)}"
    name = f"{STATE}/jobs/{submission_id}.json"
    output.write(name, config.model_copy(update={"ray_address": None}).model_dump_json().encode())
    if python is None:
        python = sys.executable if urlsplit(address).hostname in _LOCAL else "python"
    command = shlex.join([python, "-m", "pipelines", "--config", output.uri_of(name)])
    try:
        client = JobSubmissionClient(address)
        client.submit_job(entrypoint=command, submission_id=submission_id)
    except AuthenticationError as exc:
        output.delete(name)
        raise JobFailed(
            f"the Ray cluster at {address} wants a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH",
            code="cluster_unauthenticated",
        ) from exc
    except (ConnectionError, RuntimeError) as exc:
        output.delete(name)
        raise JobFailed(
            f"no Ray cluster takes jobs at {address} ({_first_line(exc)}); give the dashboard's address, "
            "like http://host:8265",
            code="cluster_unreachable",
        ) from exc
    return NarrateJob(client, submission_id)


class NarrateJob:
    """A submitted narration."""

    def __init__(self, client: Any, submission_id: str, *, patience_s: float = 60.0) -> None:
        self._client = client
        self._patience_s = patience_s
        self.submission_id = submission_id
        self._summary: NarrateSummary | None = None
        self._failure: dict[str, str] | None = None

    def follow(self, progress: ProgressCallback = lambda _: None) -> NarrateSummary:
        """Wait for the end. Ctrl-C stops the job: what it finished is in its journal.

        Raises JobFailed with the code the run failed with, job_stopped or job_failed; cluster_unreachable when
        the dashboard is away for longer than a minute, which does not stop the job.
        """
        try:
            for line in self._lines():
                self._read(line, progress)
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._summary is not None:
            return self._summary
        if self._failure is not None:
            raise JobFailed(self._failure["message"], code=self._failure["code"])
        status = self._client.get_job_status(self.submission_id)
        code = "job_stopped" if status.value == "STOPPED" else "job_failed"
        raise JobFailed(
            f"the job ended as {status.value} without a summary (see `ray job logs {self.submission_id}`); "
            "submit it again to go on from its journal",
            code=code,
        )

    def cancel(self) -> None:
        """Ask the cluster to stop the job; a run can be gone on with later."""
        self._client.stop_job(self.submission_id)

    def _lines(self) -> Iterator[str]:
        """The job's log, line by line, until the job has ended."""
        seen = 0
        heard_at = time.monotonic()
        while True:
            try:
                ended = self._client.get_job_status(self.submission_id).is_terminal()
                text: str = self._client.get_job_logs(self.submission_id)
            except (OSError, RuntimeError) as exc:  # a busy dashboard must not end an overnight run's report
                if time.monotonic() - heard_at > self._patience_s:
                    raise JobFailed(
                        f"the cluster no longer answers ({_first_line(exc)}); the job {self.submission_id} may "
                        "still run, look at it with `ray job status`",
                        code="cluster_unreachable",
                    ) from exc
                time.sleep(_POLL_S)
                continue
            heard_at = time.monotonic()
            whole = text if ended else text[: text.rfind("\n") + 1]
            yield from whole[seen:].splitlines()
            seen = len(whole)
            if ended:
                return
            time.sleep(_POLL_S)

    def _read(self, line: str, progress: ProgressCallback) -> None:
        try:
            if line.startswith(_PROGRESS):
                progress(Progress.model_validate_json(line.removeprefix(_PROGRESS)))
            elif line.startswith(_SUMMARY):
                self._summary = NarrateSummary.model_validate_json(line.removeprefix(_SUMMARY))
            elif line.startswith(_FAILURE):
                self._failure = json.loads(line.removeprefix(_FAILURE))
        except ValueError:
            return  # a line that another process wrote into; the next one tells more


def run_here(arguments: list[str] | None = None) -> int:
    """What the job runs: `--config URI`. Exit status 1 when the run failed, 2 when the configuration is
    wrong."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    parser.add_argument("--config", required=True, help="path or URI of a NarrateConfig as JSON")
    uri: str = parser.parse_args(arguments).config
    try:
        folder, _, name = uri.rpartition("/")
        config = NarrateConfig.model_validate_json(Folder(folder or ".").read(name))
    except (OSError, ValidationError) as exc:
        sys.stderr.write(f"{uri} is not the configuration of a narration: {type(exc).__name__}\n")
        return 2
    try:
        summary = narrate(config, Teller())
    except CodedError as exc:
        _tell(_FAILURE, json.dumps({"code": exc.code, "message": exc.message}))
        return 1
    except Exception as exc:  # noqa: BLE001 — told by kind and place: its own words could hold a text
        _, code, message = row_failure(exc)
        _tell(_FAILURE, json.dumps({"code": code, "message": message}))
        return 1
    _tell(_SUMMARY, summary.model_dump_json())
    return 0


class Teller:
    """Writes progress to the log, at most about once a second and whenever the stage changes."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._stage = ""
        self._at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage == self._stage and now - self._at < self._every_s:
            return
        self._stage, self._at = progress.stage, now
        _tell(_PROGRESS, progress.model_dump_json())


def _first_line(exc: Exception) -> str:
    """What Ray says of itself, without the traceback that it may append."""
    return (str(exc).splitlines() or [type(exc).__name__])[0][:200]


def _tell(mark: str, body: str) -> None:
    sys.stdout.write(f"{mark}{body}\n")
    sys.stdout.flush()

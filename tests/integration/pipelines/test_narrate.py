"""Narrations on a real Ray: one row out for each row in, whatever happens on the way (DESIGN I7)."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from consent_service.errors import Unauthenticated
from pipelines.config import NarrateConfig, NarrateSummary, Progress
from pipelines.errors import ActorsFailed, JobFailed, ScriptInvalid
from pipelines.job import NarrateJob, submit
from pipelines.narrate import ProgressCallback, narrate
from pipelines.schema import RESULT
from provenance.verify import Verifier
from speech.config import EngineConfig
from tests.assets.publisher import Publisher, row

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

SAID = {
    "en": "The lamp was lit at nine.",
    "de": "Um neun Uhr brannte die Lampe.",
    "fr": "La lampe était allumée.",
    "ja": "ランプが灯った。",
    "zh": "灯亮了。",
}


def results(publisher: Publisher) -> list[dict[str, Any]]:
    folder = publisher.folder / "out"
    assert (folder / "_SUCCESS").exists()
    parts = sorted(folder.glob("part-*.parquet"))
    assert all(pq.read_schema(part).equals(RESULT) for part in parts)
    return [record for part in parts for record in pq.read_table(part).to_pylist()]


def clips(publisher: Publisher) -> set[str]:
    return {str(path) for path in (publisher.folder / "out" / "clips").rglob("*.wav")}


def mixed_script(publisher: Publisher, count: int = 60) -> list[dict[str, Any]]:
    """Languages, voices and purposes in turn; every sixth row must be refused."""
    wrong: list[dict[str, Any]] = [
        {"text": None},
        {"text": "bell\x07"},
        {"language": "xx"},
        {"voice": "voice_of_nobody"},
        {"voice": publisher.boris, "purpose": "narration.elearning"},
        {"voice": "preset:Nobody"},
        {"purpose": "advertising"},
        {"voice": None},
        {"text": "long " * 2000},
        {"instruct": "x" * 2000},
    ]
    rows = []
    for i in range(count):
        language = list(SAID)[i % len(SAID)]
        voice = (publisher.anna, publisher.boris, "preset:Vivian", "preset:Eric", "design")[i % 7 % 5]
        one = row(
            f"row-{i:03d}", f"{SAID[language]} {i}", language=language, voice=voice, instruct="calm", seed=i
        )
        rows.append(one | wrong[i // 6 % len(wrong)] if i % 6 == 5 else one)
    return rows


@pytest.fixture
def quick(publisher: Publisher) -> dict[str, Any]:
    return {"rows_per_block": 5, "rows_per_part": 25}


def test_every_row_has_one_result_and_withdrawal_takes_clips_back(
    publisher: Publisher, cluster: str, quick: dict[str, Any]
) -> None:
    config = publisher.narration(mixed_script(publisher), **quick)
    seen: list[Progress] = []
    summary = narrate(config, seen.append)
    rows = results(publisher)
    assert [one["id"] for one in rows] == [f"row-{i:03d}" for i in range(60)]
    assert (summary.rows_in, summary.ok, summary.refused, summary.error) == (60, 50, 10, 0)
    assert {one["id"] for one in rows if one["status"] == "refused"} == {
        f"row-{i:03d}" for i in range(5, 60, 6)
    }
    assert all(one["code"] and one["message"] for one in rows if one["status"] != "ok")
    spoken = [one for one in rows if one["status"] == "ok"]
    assert clips(publisher) == {one["clip_uri"] for one in spoken}
    verifier = Verifier(publisher.service.keys.trust_anchor(), publisher.service.clips)
    for one in spoken:
        data = Path(one["clip_uri"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == one["audio_sha256"]
        assert one["seconds"] > 0
        assert (one["consent_id"] is not None) == (one["voice"] in (publisher.anna, publisher.boris))
    sample = verifier.verify(
        Path(next(o for o in spoken if o["voice"] == publisher.anna)["clip_uri"]).read_bytes()
    )
    assert (str(sample.origin), str(sample.integrity), str(sample.standing)) == ("ours", "intact", "live")
    assert [one.stage for one in seen][:2] == ["check", "start"]
    assert seen[-1].stage == "done"
    steps = [one.rows_done for one in seen if one.stage == "narrate"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 60
    assert max(steps[0], *(b - a for a, b in itertools.pairwise(steps))) <= 5

    # Again, nothing changed: everything is kept, byte for byte.
    before = {path: Path(path).stat().st_mtime_ns for path in clips(publisher)}
    summary = narrate(config)
    assert (summary.ok, summary.kept) == (50, 50)
    assert results(publisher) == rows
    assert {path: Path(path).stat().st_mtime_ns for path in clips(publisher)} == before

    # Anna withdraws: her rows are refused and her clips are gone, the others stay.
    publisher.revoke(publisher.anna_consent)
    summary = narrate(config)
    hers = [one for one in spoken if one["voice"] == publisher.anna]
    assert (summary.ok, summary.kept) == (50 - len(hers), 50 - len(hers))
    after = {one["id"]: one for one in results(publisher)}
    assert len(after) == 60
    for one in hers:
        now = after[one["id"]]
        assert (now["status"], now["code"], now["clip_uri"]) == ("refused", "consent_revoked", None)
    assert clips(publisher) == {one["clip_uri"] for one in spoken} - {one["clip_uri"] for one in hers}


def test_nothing_secret_stays_where_ray_or_the_output_keeps_things(
    publisher: Publisher, cluster: str
) -> None:
    import ray

    secret_text = "Quince marmalade for the harbourmaster"
    narrate(publisher.narration([row("a", secret_text, voice=publisher.anna)]))
    session = Path(ray._private.worker._global_node.get_session_dir_path())  # type: ignore[attr-defined]
    places = [publisher.folder / "out", session]
    files = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_socket()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert secret_text.encode() not in content, path
        assert publisher.keys["narrator"].encode() not in content, path


def test_a_changed_row_is_spoken_again_and_its_old_clip_goes(publisher: Publisher, cluster: str) -> None:
    narrate(publisher.narration([row("a"), row("b"), row("gone")]))
    first = {one["id"]: one for one in results(publisher)}
    summary = narrate(publisher.narration([row("b", "Other words."), row("a"), row("new")]))
    second = {one["id"]: one for one in results(publisher)}
    assert list(second) == ["b", "a", "new"]
    assert (summary.ok, summary.kept) == (3, 1)
    assert second["a"] == first["a"]
    assert second["b"]["clip_id"] != first["b"]["clip_id"]
    assert clips(publisher) == {one["clip_uri"] for one in second.values()}


@pytest.mark.parametrize(
    ("rows", "code"),
    [([row("a"), row("a")], "id_duplicate"), ([{"id": "a", "text": "x"}], "columns_missing")],
)
def test_a_faulty_script_leaves_no_trace(publisher: Publisher, rows: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(ScriptInvalid) as caught:
        narrate(publisher.narration(rows))
    assert caught.value.code == code
    assert not (publisher.folder / "out").exists()


def test_a_bad_key_leaves_no_trace(publisher: Publisher) -> None:
    publisher.service.tenants.revoke_key(publisher.admin, publisher.narrator.key_id)
    with pytest.raises(Unauthenticated):
        narrate(publisher.narration([row("a")]))
    assert not (publisher.folder / "out").exists()


def test_an_engine_that_is_not_there_ends_the_run_and_says_what_is_missing(
    publisher: Publisher, cluster: str
) -> None:
    engine = EngineConfig(name="qwen", base=str(publisher.folder / "no-checkpoint"), offline=True)
    with pytest.raises(ActorsFailed) as caught:
        narrate(publisher.narration([row("a")], engine=engine))
    assert caught.value.code == "engine_unavailable"
    assert "no-checkpoint" in caught.value.message
    assert not (publisher.folder / "out" / "_SUCCESS").exists()


def test_an_actor_that_is_killed_costs_no_row_and_doubles_none(publisher: Publisher, cluster: str) -> None:
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.rows_done and not killed:
            ours = psutil.Process().children(recursive=True)
            actor = next(one for one in ours if "SpeakActor" in " ".join(one.cmdline()))
            assert actor.rlimit(psutil.RLIMIT_CORE) == (0, 0), "a core dump would hold a recording"
            killed.append(actor.pid)
            actor.kill()

    rows = [row(f"r{i}", f"Row number {i}.", voice=publisher.anna) for i in range(40)]
    summary = narrate(publisher.narration(rows, rows_per_block=2), kill_once)
    assert killed
    assert (summary.rows_in, summary.ok) == (40, 40)
    done = results(publisher)
    assert [one["id"] for one in done] == [f"r{i}" for i in range(40)]
    assert clips(publisher) == {one["clip_uri"] for one in done}


# Killed and resumed ------------------------------------------------------------------------------------------

_DRIVER = """
import sys
from pipelines.config import NarrateConfig
from pipelines.narrate import ProgressCallback, narrate
config = NarrateConfig.model_validate_json(open(sys.argv[1]).read())
narrate(config, lambda p: print(p.rows_done, flush=True))
"""


def test_a_run_killed_half_way_is_finished_by_the_next(publisher: Publisher, cluster: str) -> None:
    rows = [row(f"r{i:02d}", f"Row number {i}.", voice=publisher.anna) for i in range(60)]
    config = publisher.narration(rows, rows_per_block=2)
    told = publisher.folder / "config.json"
    told.write_text(config.model_dump_json())
    before = set(Path("/tmp").glob("vouch-ray-*"))
    with subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(told)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:  # a private Ray, beside the module's
        assert driver.stdout is not None
        for line in driver.stdout:
            if int(line) >= 10:
                break
        # Ray's own agents linger for a minute; whatever may hold a voice or a text must not.
        started = [
            one for one in psutil.Process(driver.pid).children(recursive=True) if "Agent" not in one.name()
        ]
        os.kill(driver.pid, signal.SIGKILL)
    assert not (publisher.folder / "out" / "_SUCCESS").exists()
    _, left = psutil.wait_procs(started, timeout=60)
    for folder in set(Path("/tmp").glob("vouch-ray-*")) - before:
        shutil.rmtree(folder)  # what nobody was left to tidy up
    assert left == [], "a killed run leaves no process behind"

    summary = narrate(config)
    assert (summary.rows_in, summary.ok) == (60, 60)
    assert summary.kept >= 10
    done = results(publisher)
    assert [one["id"] for one in done] == [f"r{i:02d}" for i in range(60)]
    assert max(Counter(one["clip_id"] for one in done).values()) == 1
    assert clips(publisher) == {one["clip_uri"] for one in done}


# As a Ray job ------------------------------------------------------------------------------------------------


def followed(job: NarrateJob, cluster: str, progress: ProgressCallback) -> NarrateSummary:
    """Follow a job that should end well; if it does not, show its log."""
    from ray.job_submission import JobSubmissionClient

    try:
        return job.follow(progress)
    except JobFailed as exc:
        log = JobSubmissionClient(cluster).get_job_logs(job.submission_id)
        pytest.fail(f"{exc.code}: {exc.message}\n{log[-4000:]}")


def test_a_job_narrates_tells_its_progress_and_shows_no_key(publisher: Publisher, cluster: str) -> None:
    from ray.job_submission import JobSubmissionClient

    seen: list[Progress] = []
    job = submit(publisher.narration([row("a", voice=publisher.anna), row("b", None)]), cluster)
    summary = followed(job, cluster, seen.append)
    assert (summary.rows_in, summary.ok, summary.refused) == (2, 1, 1)
    assert [one["status"] for one in results(publisher)] == ["ok", "refused"]
    assert {one.stage for one in seen} >= {"check", "narrate", "done"}
    client = JobSubmissionClient(cluster)
    shown = repr(client.get_job_info(job.submission_id)) + client.get_job_logs(job.submission_id)
    assert publisher.keys["narrator"] not in shown


def test_a_job_that_fails_says_with_which_code(publisher: Publisher, cluster: str) -> None:
    config = publisher.narration([row("a"), row("a")])
    with pytest.raises(JobFailed) as caught:
        submit(config, cluster).follow()
    assert caught.value.code == "id_duplicate"


def test_a_job_can_be_stopped_and_gone_on_with(publisher: Publisher, cluster: str) -> None:
    rows = [row(f"r{i}", f"Row number {i}.") for i in range(40)]
    job = submit(publisher.narration(rows, rows_per_block=2), cluster)

    def interrupt(progress: Progress) -> None:
        if progress.rows_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        followed(job, cluster, interrupt)
    with pytest.raises(JobFailed) as caught:
        job.follow()
    assert caught.value.code == "job_stopped"
    summary = narrate(publisher.narration())
    assert (summary.rows_in, summary.ok) == (40, 40)
    assert len(clips(publisher)) == 40


def test_no_cluster_is_said_to_be_no_cluster(publisher: Publisher) -> None:
    with pytest.raises(JobFailed) as caught:
        submit(publisher.narration([row("a")]), "http://127.0.0.1:9")
    assert caught.value.code == "cluster_unreachable"
    assert list((publisher.folder / "out").rglob("*.json")) == []


def test_the_configuration_of_a_job_holds_no_secret(publisher: Publisher) -> None:
    told = json.loads(publisher.narration([row("a")]).model_dump_json())
    assert publisher.keys["narrator"] not in json.dumps(told)
    assert NarrateConfig.model_validate(told) == publisher.narration()

"""A voice replica whose device is lost: clear refusals, nothing used up for them, and another in its place."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.assets import tiny_qwen
from tests.integration.serve_app.instance import Instance, open_instance, until
from tests.integration.serve_app.losing import SIGN

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CLIENTS = 4


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[Instance]:
    checkpoint = tiny_qwen.build_one(tmp_path, "custom_voice")
    engine = {
        "name": "qwen", "device": "cpu", "compile": "off", "max_frames": 20, "on_runaway": "cut",
        "custom_voice": str(checkpoint),
    }  # fmt: skip
    running = open_instance("tests.integration.serve_app.losing", engine=engine)
    yield running
    running.kill()
    shutil.rmtree(running.data_dir.parent, ignore_errors=True)


def speak(instance: Instance, text: str) -> httpx.Response:
    body = {"text": text, "language": "en", "speaker": "Vivian", "purpose": "narration"}
    return instance.post("/v1/custom-voice", body)


def test_a_replica_that_lost_its_device_is_replaced_and_speaks_again(losing: Instance) -> None:
    assert speak(losing, "Before.").status_code == 200
    lost, gate, ingress = (losing.replica(deployment) for deployment in ("Voice", "Gate", "Ingress"))
    answers: list[httpx.Response] = []
    stop = threading.Event()

    def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            answer = speak(losing, f"Client {number}, turn {turn}.")
            answers.append(answer)
            if answer.status_code != 200:
                stop.wait(0.2)

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            until(lambda: len(answers) >= CLIENTS, "they speak")
            (losing.data_dir.parent / SIGN).touch()
            until(lambda: any(a.status_code == 503 for a in answers), "the device is lost")
            until(lambda: not lost.is_running(), "its replica goes")
            before = len(answers)
            until(lambda: any(a.status_code == 200 for a in answers[before:]), "another speaks")
        finally:
            stop.set()
        for done in running:
            done.result(120)

    outcomes = Counter(
        (a.status_code, "" if a.status_code == 200 else a.json()["error"]["code"]) for a in answers
    )
    # 502: those whose frame it was that failed. Everybody else is told that there is no engine just now.
    assert set(outcomes) <= {(200, ""), (502, "synthesis_failed"), (503, "engine_unavailable")}, outcomes
    assert outcomes[502, "synthesis_failed"] <= CLIENTS
    assert losing.replica("Voice").pid != lost.pid
    assert gate.is_running()
    assert ingress.is_running()
    _nothing_was_used_up_for_a_refusal(losing, outcomes)


def _nothing_was_used_up_for_a_refusal(instance: Instance, outcomes: Counter[tuple[int, str]]) -> None:
    """Every entry that was opened is closed, and only those who were spoken for, or failed in it, have one."""
    log = instance.log()
    opened = [e["clip"] for e in log if e["kind"] == "speech.redeemed"]
    closed = Counter(e["outcome"] for e in log if e["kind"] == "speech.closed")
    assert closed.total() == len(opened) == len(set(opened))
    assert closed["completed"] == outcomes[200, ""] + 1  # and the one before
    # In the moment of the loss a grant may be redeemed already: at most one for each who was asking.
    assert closed["failed"] - outcomes[502, "synthesis_failed"] <= CLIENTS

"""Replicas that are killed under load: each request is answered rightly or with a clear 503, and the door recovers."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.serve_app.conftest import Enrolled
from tests.integration.serve_app.instance import Instance, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CLIENTS = 16
CLEAR = {"engine_unavailable", "ledger_unavailable", "gate_failed", "overloaded", "revocations_unknown"}


@pytest.mark.parametrize("deployment", ["Voice", "Gate"])
def test_a_killed_replica_costs_clear_refusals_at_most(
    instance: Instance, enrolled: Enrolled, deployment: str
) -> None:
    answers: list[tuple[str, httpx.Response]] = []
    stop, some = threading.Event(), threading.Semaphore(0)

    def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            text = f"Client {number} of the {deployment}, turn {turn}."
            body = {
                "text": text, "language": "en", "voice_id": enrolled.voice_id, "consent_token": enrolled.token,
                "purpose": "narration",
            }  # fmt: skip
            answer = instance.post("/v1/voice-clone", body)
            answers.append((text, answer))
            some.release()
            if answer.status_code != 200:
                stop.wait(0.2)

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            for _ in range(CLIENTS):
                assert some.acquire(timeout=90), "no answer"
            replica = instance.replica(deployment)
            replica.kill()
            replica.wait(20)
            before = len(answers)
            until(
                lambda: sum(a.status_code == 200 for _, a in answers[before + CLIENTS :]) >= CLIENTS,
                "it recovers",
            )
        finally:
            stop.set()
        for done in running:
            done.result(120)

    outcomes = Counter(a.status_code for _, a in answers)
    assert set(outcomes) <= {200, 503}, outcomes
    for _, answer in answers:
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] in CLEAR, answer.text
    _none_is_wrong(instance, [(text, a) for text, a in answers if a.status_code == 200])


def _none_is_wrong(instance: Instance, spoken: list[tuple[str, httpx.Response]]) -> None:
    """Each clip is the one that was asked for, opened in the log before it left, and closed."""
    log = instance.log()
    said = {e["clip"]: e["said"] for e in log if e["kind"] == "speech.redeemed"}
    completed = {e["clip"] for e in log if e["kind"] == "speech.closed" and e["outcome"] == "completed"}
    assert len({a.headers["x-clip-id"] for _, a in spoken}) == len(spoken)
    for text, answer in spoken:
        clip = answer.headers["x-clip-id"]
        assert said[clip] in instance.said(text)
        assert clip in completed


def test_the_door_is_ready_again(instance: Instance) -> None:
    until(lambda: instance.http.get("/readyz").status_code == 200, "ready")

"""Whose clip is this, asked over real HTTP of an ingress replica: the process that reads uploads runs there too."""

from __future__ import annotations

from functools import partial

import psutil
import pytest

from tests.integration.serve_app.instance import Instance, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

SAID = {"text": "Who made this, I wonder?", "language": "en", "speaker": "Vivian", "purpose": "narration"}
PROGRAM = "provenance.decoding.worker"


def readers(instance: Instance) -> list[psutil.Process]:
    """The processes that take uploads apart."""
    return [one for one in instance.family() if PROGRAM in " ".join(one.cmdline())]


def _has_ended(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def test_a_clip_is_verified_behind_the_proxy(instance: Instance) -> None:
    clip = instance.post("/v1/custom-voice", SAID)
    assert clip.status_code == 200, clip.text
    told = instance.http.post("/v1/verify", content=clip.content).json()
    assert told.keys() == {"origin", "integrity", "sentence"}
    assert (told["origin"], told["integrity"]) == ("ours", "intact")
    full = instance.http.post("/v1/verify", content=clip.content, headers=instance.bearer("auditor")).json()
    assert full["standing"] == "not required"
    assert full["evidence"]["register_match"] is True
    assert 1 <= len(readers(instance)) <= 2


def test_an_upload_that_is_nothing_is_refused_behind_the_proxy(instance: Instance) -> None:
    answer = instance.http.post("/v1/verify", content=b"RIFF" + bytes(5_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_unreadable")


def test_a_reader_that_is_killed_is_replaced(instance: Instance) -> None:
    clip = instance.post("/v1/custom-voice", SAID).content
    assert instance.http.post("/v1/verify", content=clip).status_code == 200
    for one in readers(instance):
        one.kill()
        until(partial(_has_ended, one), "its end")  # its owner has not asked yet
    assert instance.http.post("/v1/verify", content=clip).status_code == 200

"""A narration runs all night; keys may be rotated meanwhile."""

from __future__ import annotations

from consent_service.rotation.rotate import KeyKind
from tests.unit.pipelines.conftest import Stages


def test_rows_are_spoken_on_after_every_key_was_rotated(stages: Stages) -> None:
    service = stages.publisher.service
    assert stages.finish(stages.ready("before", voice="preset:Vivian")).status == "ok"
    service.rotation.rotate(stages.publisher.admin, list(KeyKind))
    assert stages.finish(stages.ready("after", voice="preset:Vivian")).status == "ok"

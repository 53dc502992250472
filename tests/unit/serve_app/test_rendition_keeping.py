"""A form of a clip is kept beside whoever else makes it, and never longer than the clip, whatever fails meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import update

from consent_service import derivatives
from consent_service.ledger.tables import clips
from serve_app.clip_store import ClipStore, StagedClip
from serve_app.errors import RequestRefused
from tests.unit.serve_app.house import House, Studio, code_of, raising
from tests.unit.serve_app.test_renditions import asked_of, clip

__all__ = ["clip"]  # a fixture


@pytest.mark.parametrize("ending", ["its consent is not known", "nothing: the process has died"])
def test_a_form_that_is_published_while_its_old_voice_is_deleted_does_not_stay(
    house: House, studio: Studio, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Between the deletion of what is registered and the last search, which otherwise looks at new clips only."""
    with house.service._core.ledger.engine.begin() as connection:
        connection.execute(update(clips).values(created_at=clips.c.created_at - 30 * 86_400))
    publish, delete = ClipStore.publish, derivatives.delete_clips
    died = ending.startswith("nothing")

    def end_while_published(store: ClipStore, staged: StagedClip) -> None:
        def deleted(*of: Any) -> None:
            delete(*of)
            if died:
                publish(store, staged)

        monkeypatch.setattr(derivatives, "delete_clips", deleted)
        house.service.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
        if not died:
            publish(store, staged)

    monkeypatch.setattr(ClipStore, "publish", end_while_published)
    if died:
        monkeypatch.setattr(ClipStore, "take_back", lambda *_: None)
    unknown = {"standing": raising(RequestRefused("ledger_unavailable", "no"))}
    (answer,) = asked_of(house, studio, clip, gate=unknown)
    assert (answer.status_code, code_of(answer)) == (503, "ledger_unavailable")
    assert studio.stored() == []

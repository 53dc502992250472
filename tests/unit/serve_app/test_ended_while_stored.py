"""A clip that comes into its place while its voice is being ended does not outlive the certificate of deletion."""

from __future__ import annotations

from typing import Any

import pytest

from consent_service.errors import LedgerUnavailable
from serve_app.errors import RequestRefused
from tests.unit.serve_app.house import House, Studio, raising


def say_with(house: House, studio: Studio, publish: Any = None, **gate: Any) -> str:
    """Ask for a clip with another `publish`; the code of the refusal."""

    async def ask() -> None:
        parts = await house.parts(house.engine, gate=gate)
        real = parts.store.publish
        if publish is not None:
            parts.store.publish = lambda staged: publish(lambda: real(staged))  # type: ignore[method-assign]
        try:
            await parts.clips.create_clip(studio.say("Too late."))
        finally:
            await parts.worker.close()

    with pytest.raises(RequestRefused) as refused:
        house.run(ask())
    return refused.value.code


def test_what_is_put_in_its_place_after_the_certificate_is_taken_away_again(
    house: House, studio: Studio
) -> None:
    def publish(real: Any) -> None:
        """An object store copies first and deletes then: the copy may land when the deletion is over."""
        (partial,) = studio.stored()
        kept = partial.read_bytes()
        house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
        assert house.service.deletion.certificate(studio.by("admin"), studio.voice.voice_id)
        assert studio.stored() == []
        partial.write_bytes(kept)
        real()

    assert say_with(house, studio, publish) == "consent_revoked"
    assert studio.stored() == []


def test_what_was_deleted_before_it_came_into_its_place_never_comes(house: House, studio: Studio) -> None:
    def publish(real: Any) -> None:
        house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
        real()

    assert say_with(house, studio, publish) == "consent_revoked"
    assert studio.stored() == []


def test_where_nobody_can_say_whether_it_stands_nothing_leaves(house: House, studio: Studio) -> None:
    unanswered = raising(LedgerUnavailable("the ledger did not answer"))
    assert say_with(house, studio, standing=unanswered) == "gate_failed"

"""A voice is kept as long as was agreed: a sweep names those whose time has passed, and ends them on a second word."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import Conflict, InvalidInput, NotFound
from tests.assets.installation import DAY, UNEXAMINED, Installation, Tenant


def due(world: Tenant) -> list[str]:
    return [voice.voice_id for voice in world.service.deletion.sweep_voices(world.admin)]


def test_without_a_period_a_voice_is_never_due(world: Tenant) -> None:
    world.clock.now += 100 * 365 * DAY
    assert due(world) == []


def test_a_voice_is_due_once_its_day_has_come_and_not_before(world: Tenant) -> None:
    ends = world.clock.now + 10 * DAY
    world.service.deletion.keep_until(world.admin, world.voice.voice_id, ends)
    assert (world.log()[-1]["kind"], world.log()[-1]["until"]) == ("voice.retention_set", ends)
    world.clock.now = ends - 1
    assert due(world) == []
    world.clock.now = ends
    assert due(world) == [world.voice.voice_id]


def test_a_dry_run_touches_nothing_and_a_confirmed_one_ends_the_voice_with_a_certificate(
    world: Tenant,
) -> None:
    world.service.deletion.keep_until(world.admin, world.voice.voice_id, world.clock.now)
    size = len(world.log())
    assert due(world) == [world.voice.voice_id]
    assert len(world.log()) == size
    (gone,) = world.service.deletion.sweep_voices(world.admin, confirm=True)
    assert gone.state == "decommissioned"
    assert world.service.deletion.certificate(world.admin, gone.voice_id)
    assert due(world) == []
    with pytest.raises(Conflict):
        world.service.deletion.keep_until(world.admin, gone.voice_id, None)


def test_the_configured_period_counts_where_none_was_agreed(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data", examination=UNEXAMINED, retention_days=30)
    world = Installation.create(config).tenant()
    service = world.service
    longer = world.enrol("Longer", hertz=300.0)
    service.deletion.keep_until(world.admin, longer.voice_id, world.clock.now + 60 * DAY)
    world.clock.now += 30 * DAY
    assert due(world) == [world.voice.voice_id]
    service.deletion.keep_until(world.admin, longer.voice_id, None)
    assert set(due(world)) == {world.voice.voice_id, longer.voice_id}
    service.close()


def test_an_enrolment_that_was_never_finished_is_swept_too(world: Tenant) -> None:
    begun = world.service.voices.begin_enrolment(
        world.admin,
        name="Half",
        language="en",
        grantee="studio",
        purpose="narration",
        subject_name="Someone Private",
    )
    world.service.deletion.keep_until(world.admin, begun.voice_id, world.clock.now)
    world.service.deletion.sweep_voices(world.admin, confirm=True)
    assert world.service.voices.get(world.admin, begun.voice_id).state == "decommissioned"
    assert "Someone Private" not in world.dump()


@pytest.mark.parametrize("until", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_period_ends_at_a_point_in_time(world: Tenant, until: float) -> None:
    with pytest.raises(InvalidInput):
        world.service.deletion.keep_until(world.admin, world.voice.voice_id, until)


def test_a_period_that_has_passed_is_refused_and_nothing_changes(world: Tenant) -> None:
    voice_id, ends = world.voice.voice_id, world.clock.now + DAY
    assert world.service.deletion.keep_until(world.admin, voice_id, ends).retain_until == ends
    with pytest.raises(InvalidInput) as refused:
        world.service.deletion.keep_until(world.admin, voice_id, world.clock.now - 1)
    assert refused.value.code == "validity_invalid"
    assert world.service.voices.get(world.admin, voice_id).retain_until == ends
    assert due(world) == []


def test_a_sweep_stays_in_its_tenant(world: Tenant) -> None:
    world.service.deletion.keep_until(world.admin, world.voice.voice_id, world.clock.now)
    other = world.installation.tenant("other")
    assert due(other) == []
    with pytest.raises(NotFound):
        other.service.deletion.keep_until(other.admin, world.voice.voice_id, None)

"""When a file was handed over is what the log says, by the file's digest, and nothing else."""

from __future__ import annotations

import pytest

from consent_service.clips.service import handed_over_at
from consent_service.models import Closing
from tests.assets.installation import Tenant, digest

pytestmark = pytest.mark.on_both_databases


def test_a_file_was_handed_over_when_the_log_closed_its_clip(world: Tenant) -> None:
    logged_at = world.service.clips.logged_at
    grant = world.service.gate.redeem(world.allow().token, world.replica.replica_id).grant
    assert logged_at(grant.clip_id, digest("file")) is None, "it is not finished"
    world.clock.now += 5
    world.service.gate.close(grant.grant_id, Closing("completed", 1.0, digest("file")))
    assert logged_at(grant.clip_id, digest("file")) == world.clock.now
    assert logged_at(grant.clip_id, digest("another file")) is None
    assert logged_at("0" * 32, digest("file")) is None


def test_an_entry_about_something_else_says_nothing_of_it() -> None:
    closed = {"kind": "speech.closed", "clip": "a", "audio": "ab", "at": 1.0}
    assert handed_over_at(closed, "a", "ab") == 1.0
    for other in ({"kind": "speech.redeemed"}, {"clip": "b"}, {"audio": "cd"}):
        assert handed_over_at(closed | other, "a", "ab") is None

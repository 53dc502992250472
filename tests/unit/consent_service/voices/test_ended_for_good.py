"""A voice that has ended stays so: whoever still examines, reviews or states something comes too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consent_service.errors import Conflict, ConsentError, RecordingRejected
from consent_service.models import Challenge, Deny, EnrolmentAnswer
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.records import KeyPurpose
from consent_service.voices import records
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced

pytestmark = pytest.mark.on_both_databases


def begin(world: Tenant) -> Challenge:
    return world.service.voices.begin_enrolment(
        world.admin, name="V", language="en", grantee="studio", purpose="narration", subject_name="P"
    )


def complete(world: Tenant, challenge: Challenge) -> Any:
    return world.service.voices.complete_enrolment(
        world.admin,
        challenge.enrolment_id,
        EnrolmentAnswer(reference=voiced(4.0), transcript="t", statement=voiced(3.5)),
    )


def end(world: Tenant, voice_id: str) -> None:
    world.service.deletion.keep_until(world.admin, voice_id, world.clock.now)
    (ended,) = world.service.deletion.sweep_voices(world.admin, confirm=True)
    assert ended.voice_id == voice_id


def assert_ended(world: Tenant, voice_id: str) -> None:
    assert world.service.voices.get(world.admin, voice_id).state == "decommissioned"
    assert world.service.deletion.certificate(world.auditor, voice_id)
    assert ("acme", voice_id) not in world.core.vault.voices()
    assert isinstance(world.service.gate.authorize(world.narrator, world.claim(voice_id=voice_id)), Deny)


def while_examined(world: Tenant, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    examiner = world.service._examiner

    def examine(*args: Any, real: Any = examiner.examine, **kwargs: Any) -> Any:
        examined = real(*args, **kwargs)
        then()
        return examined

    monkeypatch.setattr(examiner, "examine", examine)


@pytest.mark.parametrize("approve", [True, False])
def test_a_voice_that_ended_while_it_waited_is_not_reviewed(world: Tenant, approve: bool) -> None:
    challenge = begin(world)
    complete(world, challenge)
    end(world, challenge.voice_id)
    with pytest.raises(Conflict) as refused:
        world.service.voices.review(world.reviewer, challenge.voice_id, approve=approve)
    assert refused.value.code == "voice_not_in_review"
    assert_ended(world, challenge.voice_id)


def test_a_voice_that_ended_while_it_was_examined_stays_ended(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = begin(world)
    while_examined(world, monkeypatch, lambda: end(world, challenge.voice_id))
    with pytest.raises(Conflict) as refused:
        complete(world, challenge)
    assert refused.value.code == "voice_decommissioned"
    assert_ended(world, challenge.voice_id)


def test_a_voice_that_ended_before_it_was_turned_away_stays_ended(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = begin(world)

    def end_and_refuse() -> None:
        end(world, challenge.voice_id)
        raise RecordingRejected("another speaker", code="speaker_mismatch")

    while_examined(world, monkeypatch, end_and_refuse)
    with pytest.raises(RecordingRejected):
        complete(world, challenge)
    assert_ended(world, challenge.voice_id)


def test_a_further_statement_of_a_voice_that_ended_is_neither_kept_nor_reviewed(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice_id = world.voice.voice_id
    asked = {"grantee": "studio", "purpose": "dubbing"}
    waiting, late = (world.service.voices.begin_statement(world.admin, voice_id, **asked) for _ in range(2))
    world.service.voices.complete_statement(world.admin, waiting.enrolment_id, statement=voiced(3.5))
    while_examined(
        world, monkeypatch, lambda: world.service.deletion.decommission(world.admin, voice_id, "the end")
    )
    with pytest.raises(Conflict):
        world.service.voices.complete_statement(world.admin, late.enrolment_id, statement=voiced(3.5))
    with pytest.raises(Conflict):
        world.service.voices.review(world.reviewer, voice_id, approve=True)
    assert_ended(world, voice_id)


@pytest.mark.parametrize("state", ["pending", "review"])
def test_a_challenge_that_outlived_its_voice_revives_nothing(world: Tenant, state: str) -> None:
    """As an older version, or a backup, may have left it: the voice's own state is looked at too."""
    challenge = begin(world)
    if state == "review":
        complete(world, challenge)
    with world.core.write_as("acme") as writing:
        records.change(writing, challenge.voice_id, state="decommissioned")
    attempts: dict[str, Callable[[], object]] = {
        "pending": lambda: complete(world, challenge),
        "review": lambda: world.service.voices.review(world.reviewer, challenge.voice_id, approve=True),
    }
    with pytest.raises(ConsentError) as refused:
        attempts[state]()
    assert refused.value.code == "voice_decommissioned"
    assert world.service.voices.get(world.admin, challenge.voice_id).state == "decommissioned"


def test_a_voice_that_came_back_from_a_backup_is_ended_once_more(world: Tenant) -> None:
    voice_id, vault = world.voice.voice_id, world.core.vault
    world.service.deletion.decommission(world.admin, voice_id, "the end")
    first = world.service.deletion.certificate(world.auditor, voice_id)
    with world.core.write_as("acme") as writing:
        records.change(writing, voice_id, state="active")
    vault.create_key("acme", voice_id)
    vault.store("acme", voice_id, "reference", b"RIFF of somebody", origin="x")
    assert world.service.deletion.decommission(world.admin, voice_id, "again").state == "decommissioned"
    assert_ended(world, voice_id)
    assert world.service.deletion.certificate(world.auditor, voice_id) != first
    assert world.kinds().count("voice.decommissioned") == 2


def test_the_receipts_of_a_voice_that_ended_tell_of_it_and_those_of_earlier_ends_stay(world: Tenant) -> None:
    keys = world.service.keys.public_keys(KeyPurpose.RECEIPT)
    earlier, standing = world.record().consent.consent_id, world.consent_id
    world.service.consents.revoke(world.admin, earlier, "no more")
    before = world.service.consents.receipt(world.auditor, earlier)
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "private words")
    text = world.service.consents.receipt(world.auditor, standing)
    told = verify_receipt(text, keys)
    assert told["state"] == world.service.consents.get(world.auditor, standing).state == "revoked"
    assert [event["event_type"] for event in told["events"]] == ["given", "withdrawn"]
    assert told["events"][-1]["entity_id"] == "controller"
    assert world.log()[told["audit"]["leaf"]]["kind"] == "voice.decommissioned"
    assert "private words" not in text
    assert world.service.consents.receipt(world.auditor, earlier) == before

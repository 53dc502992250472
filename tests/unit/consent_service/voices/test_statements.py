"""A consent covers what the person said on tape: that grantee, that purpose, and what lies below it."""

from __future__ import annotations

from typing import Any

import pytest

from consent_service.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from consent_service.models import Challenge, Role
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced


def state(world: Tenant, *, approve: bool | None = True, **changes: str) -> Challenge:
    asked = {"grantee": "studio", "purpose": "advertising", **changes}
    challenge = world.service.voices.begin_statement(world.admin, world.voice.voice_id, **asked)
    given = world.service.voices.complete_statement(
        world.admin, challenge.enrolment_id, statement=voiced(3.5, hertz=185.0)
    )
    assert given is False, "it waits for a reviewer"
    if approve is not None:
        decided = world.service.voices.review(world.reviewer, world.voice.voice_id, approve=approve)
        assert decided.state == "active", "the voice stays as it was"
    return challenge


def not_covered(world: Tenant, **terms: Any) -> None:
    before = len(world.log())
    with pytest.raises(InvalidInput) as refused:
        world.record(**terms)
    assert refused.value.code == "evidence_does_not_cover"
    assert len(world.log()) == before


def test_a_consent_beyond_what_was_said_is_refused(world: Tenant) -> None:
    assert world.record(purposes=("narration", "narration.audiobook"))
    not_covered(world, purposes=("advertising",))
    not_covered(world, purposes=("narration", "advertising"))
    not_covered(world, grantee="another studio")


def test_a_part_does_not_cover_the_whole(world: Tenant) -> None:
    state(world, purpose="training.internal")
    assert world.record(purposes=("training.internal",))
    not_covered(world, purposes=("training",))


def test_a_further_statement_covers_its_own_grantee_and_purpose_once_it_is_approved(world: Tenant) -> None:
    challenge = state(world, approve=None)
    not_covered(world, purposes=("advertising",))
    waiting = world.service.voices.under_review(world.reviewer, world.voice.voice_id)
    assert (waiting.kind, waiting.sentence) == ("statement", challenge.sentence)
    world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)
    recorded = world.record(purposes=("advertising", "narration"))
    proofs = recorded.consent.evidence["statements"]
    assert {proof["purpose"] for proof in proofs} == {"advertising", "narration"}
    assert challenge.enrolment_id in {proof["enrolment"] for proof in proofs}
    not_covered(world, purposes=("advertising",), grantee="another studio")
    state(world, grantee="another studio")
    assert world.record(purposes=("advertising",), grantee="another studio")


def test_a_refused_statement_covers_nothing_and_costs_the_voice_nothing(world: Tenant) -> None:
    state(world, approve=False)
    not_covered(world, purposes=("advertising",))
    assert world.allow()
    assert world.kinds()[-1] != "voice.statement.approved"


def test_a_statement_is_answered_once_in_time_and_one_at_a_time_waits(world: Tenant) -> None:
    first = state(world, approve=None)
    with pytest.raises(Conflict) as again:
        world.service.voices.complete_statement(world.admin, first.enrolment_id, statement=voiced(3.5))
    assert again.value.code == "enrolment_completed"
    with pytest.raises(Conflict) as second:
        state(world, approve=None)
    assert second.value.code == "statement_in_review"
    world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)
    late = world.service.voices.begin_statement(
        world.admin, world.voice.voice_id, grantee="g", purpose="dubbing"
    )
    world.clock.now += 601
    with pytest.raises(Conflict) as expired:
        world.service.voices.complete_statement(world.admin, late.enrolment_id, statement=voiced(3.5))
    assert expired.value.code == "enrolment_expired"


def test_only_an_active_voice_of_a_person_states_anything(world: Tenant) -> None:
    begun = world.service.voices.begin_enrolment(
        world.admin, name="V", language="en", grantee="studio", purpose="narration", subject_name="P"
    )
    with pytest.raises(Conflict):
        world.service.voices.begin_statement(world.admin, begun.voice_id, grantee="g", purpose="dubbing")
    with pytest.raises(NotFound):
        world.service.voices.complete_statement(world.admin, begun.enrolment_id, statement=voiced(3.5))
    with pytest.raises(InvalidInput) as unknown:
        world.service.voices.begin_statement(
            world.admin, world.voice.voice_id, grantee="g", purpose="anything"
        )
    assert unknown.value.code == "purpose_unknown"


def test_the_reference_is_read_for_a_comparison_only_after_the_log_says_so(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[list[str]] = []
    vault = world.core.vault
    monkeypatch.setattr(
        vault, "open", lambda *a, real=vault.open, **k: (opened.append(world.kinds()), real(*a, **k))[1]
    )
    state(world, approve=None)
    assert [kinds[-1] for kinds in opened] == ["voice.reference_read"]


@pytest.mark.parametrize("part", ["statement", "reference"])
def test_a_reviewer_hears_only_while_it_waits_and_only_after_the_log_says_so(
    world: Tenant, part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear() -> bytes:
        return world.service.voices.open_statement(world.reviewer, world.voice.voice_id, part)

    with pytest.raises(Conflict) as early:
        hear()
    assert early.value.code == "voice_not_in_review"
    state(world, approve=None)
    opened: list[list[str]] = []
    vault = world.core.vault
    monkeypatch.setattr(
        vault, "open", lambda *a, real=vault.open, **k: (opened.append(world.kinds()), real(*a, **k))[1]
    )
    assert hear()[:4] == b"RIFF"
    assert [kinds[-1] for kinds in opened] == [f"voice.{part}_read"]
    world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)
    with pytest.raises(Conflict):
        hear()


def test_nobody_but_a_reviewer_hears_it(world: Tenant) -> None:
    state(world, approve=None)
    before = len(world.log())
    for other in (world.admin, world.narrator, world.auditor):
        with pytest.raises(PermissionDenied):
            world.service.voices.open_statement(other, world.voice.voice_id)
        with pytest.raises(PermissionDenied):
            world.service.voices.under_review(other, world.voice.voice_id)
    assert len(world.log()) == before


def test_neither_who_asked_nor_who_answered_reviews(world: Tenant) -> None:
    asked, answered = (world.key(Role.VOICE_ADMIN, Role.REVIEWER) for _ in range(2))
    challenge = world.service.voices.begin_statement(
        asked, world.voice.voice_id, grantee="g", purpose="dubbing"
    )
    world.service.voices.complete_statement(answered, challenge.enrolment_id, statement=voiced(3.5))
    for by in (asked, answered):
        with pytest.raises(PermissionDenied) as refused:
            world.service.voices.review(by, world.voice.voice_id, approve=True)
        assert refused.value.code == "reviewer_is_enroller"
    assert world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)

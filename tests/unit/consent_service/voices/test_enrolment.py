"""A person's voice comes in by challenge, two recordings and a second pair of eyes; or it does not come in."""

from __future__ import annotations

from typing import Any

import pytest

from consent_service.errors import (
    Conflict,
    InvalidInput,
    KeyDestroyed,
    NotFound,
    PermissionDenied,
    RecordingRejected,
)
from consent_service.examination.challenge.purposes import said
from consent_service.examination.findings import DOUBTS
from consent_service.models import Challenge, Closing, Deny, EnrolmentAnswer, Principal, Role
from consent_service.policy.languages import LANGUAGES
from consent_service.proofs.records import Standing
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced


def begin(world: Tenant, **changes: Any) -> Challenge:
    usual = {
        "name": "V",
        "language": "en",
        "grantee": "studio",
        "purpose": "narration",
        "subject_name": "Mary Exemplar",
    }
    return world.service.voices.begin_enrolment(world.admin, **{**usual, **changes})


def complete(world: Tenant, challenge: Challenge, **changes: Any) -> Any:
    usual = {"reference": voiced(4.0), "transcript": "as said", "statement": voiced(3.5)}
    answer = EnrolmentAnswer(**{**usual, **changes})
    return world.service.voices.complete_enrolment(world.admin, challenge.enrolment_id, answer)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_challenge_names_person_grantee_and_purpose_in_every_language_and_is_fresh(
    world: Tenant, language: str
) -> None:
    first, second = begin(world, language=language), begin(world, language=language)
    for part in ("Mary Exemplar", "studio", said(language, "narration")):
        assert part in first.sentence
    assert first.sentence != second.sentence
    assert first.expires_at == world.clock.now + 600


def test_the_sentence_is_stored_nowhere_and_read_out_to_the_reviewer_word_for_word(world: Tenant) -> None:
    challenge = begin(world)
    complete(world, challenge)
    kept = world.rows("SELECT * FROM enrolments")
    assert not any("Mary Exemplar" in str(row) for row in kept)
    waiting = world.service.voices.under_review(world.reviewer, challenge.voice_id)
    assert waiting.sentence == challenge.sentence
    assert (waiting.grantee, waiting.purpose, waiting.kind) == ("studio", "narration", "enrolment")


def test_a_voice_speaks_only_after_somebody_else_approved(world: Tenant) -> None:
    challenge = begin(world)
    for state in ("enrolling", "review"):
        assert world.service.voices.get(world.admin, challenge.voice_id).state == state
        denied = world.service.gate.authorize(world.narrator, world.claim(voice_id=challenge.voice_id))
        assert isinstance(denied, Deny)
        assert denied.code == "voice_not_active"
        with pytest.raises(Conflict):
            world.service.consents.record(world.admin, voice_id=challenge.voice_id, terms=world.terms())
        if state == "enrolling":
            complete(world, challenge)
    assert world.service.voices.review(world.reviewer, challenge.voice_id, approve=True).state == "active"


def test_who_enrolled_can_not_review(world: Tenant) -> None:
    both: Principal = world.key(Role.VOICE_ADMIN, Role.REVIEWER)
    challenge = world.service.voices.begin_enrolment(
        both, name="V", language="en", grantee="g", purpose="narration", subject_name="P"
    )
    world.service.voices.complete_enrolment(
        both,
        challenge.enrolment_id,
        EnrolmentAnswer(reference=voiced(4.0), transcript="t", statement=voiced(3.5)),
    )
    with pytest.raises(PermissionDenied) as refused:
        world.service.voices.review(both, challenge.voice_id, approve=True)
    assert refused.value.code == "reviewer_is_enroller"
    assert world.service.voices.get(both, challenge.voice_id).state == "review"


def test_a_refused_voice_is_destroyed(world: Tenant) -> None:
    challenge = begin(world)
    complete(world, challenge)
    voice = world.service.voices.review(
        world.reviewer, challenge.voice_id, approve=False, note="another person"
    )
    assert voice.state == "refused"
    with pytest.raises(KeyDestroyed):
        world.core.vault.open("acme", voice.voice_id, "reference", voice.prompt_digest)
    with pytest.raises(Conflict):
        world.service.voices.review(world.reviewer, challenge.voice_id, approve=True)


def test_a_challenge_expires_and_is_answered_once(world: Tenant) -> None:
    late, once = begin(world), begin(world)
    complete(world, once)
    with pytest.raises(Conflict) as again:
        complete(world, once)
    assert again.value.code == "enrolment_completed"
    world.clock.now += 600
    very_late = begin(world)
    world.clock.now += 600
    assert complete(world, very_late).state == "review"
    with pytest.raises(Conflict) as refused:
        complete(world, late)
    assert refused.value.code == "enrolment_expired"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reference": voiced(2.0)}, "recording_too_short"),
        ({"statement": voiced(2.0)}, "recording_too_short"),
        ({"statement": b"junk"}, "recording_unreadable"),
        ({"transcript": " \n"}, "transcript_missing"),
        ({"transcript": "x" * 5000}, "transcript_missing"),
        ({"transcript": "a\ud800"}, "transcript_missing"),
        ({"transcript": "a\x00b"}, "transcript_missing"),
        ({"note": "two\nlines"}, "name_invalid"),
    ],
)
def test_a_bad_answer_is_refused_and_leaves_the_challenge_open(
    world: Tenant, changes: dict[str, Any], code: str
) -> None:
    challenge = begin(world)
    before = len(world.log())
    with pytest.raises(InvalidInput) as refused:
        complete(world, challenge, **changes)
    assert refused.value.code == code
    assert isinstance(refused.value, RecordingRejected) is code.startswith("recording")
    if code.startswith("recording"):
        assert refused.value.message.startswith(f"the {next(iter(changes))}: ")
    assert len(world.log()) == before
    assert complete(world, challenge).state == "review"


def test_who_enrols_is_told_why_a_reviewer_must_look_and_no_score(world: Tenant) -> None:
    challenge = begin(world)
    assert world.service.voices.doubts(world.admin, challenge.enrolment_id) == ()
    complete(world, challenge)
    told = world.service.voices.doubts(world.admin, challenge.enrolment_id)
    assert set(told) == set(
        world.service.voices.under_review(world.reviewer, challenge.voice_id).evidence["doubts"]
    )
    assert told
    assert set(told) <= set(DOUBTS)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"language": "tlh"}, "language_unsupported"),
        ({"purpose": "anything"}, "purpose_unknown"),
        ({"name": ""}, "name_invalid"),
        ({"subject_name": "a\x07b"}, "name_invalid"),
        ({"subject_name": "\ud800"}, "name_invalid"),
        ({"grantee": "x" * 121}, "name_invalid"),
    ],
)
def test_a_bad_beginning_is_refused(world: Tenant, changes: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        begin(world, **changes)
    assert refused.value.code == code


def test_ids_that_nobody_gave_out_are_not_found(world: Tenant) -> None:
    for wrong in ("", "enrolment_0", "\ud800", "a b", "x" * 300, "'; drop table voices; --"):
        with pytest.raises(NotFound):
            world.service.voices.complete_enrolment(
                world.admin,
                wrong,
                EnrolmentAnswer(reference=voiced(4.0), transcript="t", statement=voiced(3.5)),
            )
        with pytest.raises(NotFound):
            world.service.voices.get(world.admin, wrong)
        with pytest.raises(NotFound):
            world.service.consents.get(world.admin, wrong)
        with pytest.raises(NotFound):
            world.service.clips.get(world.auditor, wrong)
        with pytest.raises(NotFound):
            world.service.gate.close(wrong, Closing("completed"))
        assert world.service.clips.standing(wrong, None, None)[0] is Standing.UNKNOWN
        assert world.service.clips.knows_clip(wrong, "0" * 64) is None

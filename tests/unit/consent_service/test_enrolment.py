"""A person's voice comes in by challenge, two recordings and a second pair of eyes; or it does not come in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
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
from consent_service.languages import LANGUAGES
from consent_service.models import Challenge, Closing, Deny, Principal, Role
from consent_service.proofs.seams import Standing
from consent_service.sealing import open_reference
from tests.unit.consent_service.world import DAY, World, tone


def begin(world: World, **changes: Any) -> Challenge:
    usual = {
        "name": "V",
        "language": "en",
        "grantee": "studio",
        "purpose": "narration",
        "subject_name": "Mary Exemplar",
    }
    return world.service.begin_enrolment(world.admin, **{**usual, **changes})


def complete(world: World, challenge: Challenge, **changes: Any) -> Any:
    usual = {"reference": tone(4.0), "transcript": "as said", "statement": tone(3.5)}
    return world.service.complete_enrolment(world.admin, challenge.enrolment_id, **{**usual, **changes})


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_challenge_names_person_grantee_and_purpose_in_every_language_and_is_fresh(
    world: World, language: str
) -> None:
    first, second = begin(world, language=language), begin(world, language=language)
    for part in ("Mary Exemplar", "studio", "narration"):
        assert part in first.sentence
    assert first.sentence != second.sentence


def test_a_voice_speaks_only_after_somebody_else_approved(world: World) -> None:
    challenge = begin(world)
    for state in ("enrolling", "review"):
        assert world.service.voice(world.admin, challenge.voice_id).state == state
        denied = world.service.authorize(world.narrator, world.claim(voice_id=challenge.voice_id))
        assert isinstance(denied, Deny)
        assert denied.code == "voice_not_active"
        with pytest.raises(Conflict):
            world.service.record_consent(world.admin, voice_id=challenge.voice_id, terms=world.terms())
        if state == "enrolling":
            complete(world, challenge)
    assert world.service.review_enrolment(world.reviewer, challenge.voice_id, approve=True).state == "active"


def test_who_enrolled_can_not_review(world: World) -> None:
    both: Principal = world.key(Role.VOICE_ADMIN, Role.REVIEWER)
    challenge = world.service.begin_enrolment(
        both, name="V", language="en", grantee="g", purpose="narration", subject_name="P"
    )
    world.service.complete_enrolment(
        both, challenge.enrolment_id, reference=tone(4.0), transcript="t", statement=tone(3.5)
    )
    with pytest.raises(PermissionDenied) as refused:
        world.service.review_enrolment(both, challenge.voice_id, approve=True)
    assert refused.value.code == "reviewer_is_enroller"
    assert world.service.voice(both, challenge.voice_id).state == "review"


def test_a_refused_voice_is_destroyed(world: World) -> None:
    challenge = begin(world)
    complete(world, challenge)
    voice = world.service.review_enrolment(
        world.reviewer, challenge.voice_id, approve=False, note="another person"
    )
    assert voice.state == "refused"
    with pytest.raises(KeyDestroyed):
        world.service._core.vault.open("acme", voice.voice_id, "reference", voice.prompt_digest)
    with pytest.raises(Conflict):
        world.service.review_enrolment(world.reviewer, challenge.voice_id, approve=True)


def test_a_challenge_expires_and_is_answered_once(world: World) -> None:
    late, once = begin(world), begin(world)
    complete(world, once)
    with pytest.raises(Conflict) as again:
        complete(world, once)
    assert again.value.code == "enrolment_completed"
    world.clock.now += DAY + 1
    with pytest.raises(Conflict) as refused:
        complete(world, late)
    assert refused.value.code == "enrolment_expired"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reference": tone(2.0)}, "recording_too_short"),
        ({"statement": tone(2.0)}, "recording_too_short"),
        ({"statement": b"junk"}, "recording_unreadable"),
        ({"transcript": " \n"}, "transcript_missing"),
        ({"transcript": "x" * 5000}, "transcript_missing"),
        ({"transcript": "a\ud800"}, "transcript_missing"),
        ({"transcript": "a\x00b"}, "transcript_missing"),
        ({"note": "two\nlines"}, "name_invalid"),
    ],
)
def test_a_bad_answer_is_refused_and_leaves_the_challenge_open(
    world: World, changes: dict[str, Any], code: str
) -> None:
    challenge = begin(world)
    before = len(world.log())
    with pytest.raises(InvalidInput) as refused:
        complete(world, challenge, **changes)
    assert refused.value.code == code
    assert isinstance(refused.value, RecordingRejected) is code.startswith("recording")
    assert len(world.log()) == before
    assert complete(world, challenge).state == "review"


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
def test_a_bad_beginning_is_refused(world: World, changes: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        begin(world, **changes)
    assert refused.value.code == code


def test_ids_that_nobody_gave_out_are_not_found(world: World) -> None:
    for wrong in ("", "enrolment_0", "\ud800", "a b", "x" * 300, "'; drop table voices; --"):
        with pytest.raises(NotFound):
            world.service.complete_enrolment(
                world.admin, wrong, reference=tone(4.0), transcript="t", statement=tone(3.5)
            )
        with pytest.raises(NotFound):
            world.service.voice(world.admin, wrong)
        with pytest.raises(NotFound):
            world.service.consent(world.admin, wrong)
        with pytest.raises(NotFound):
            world.service.clip(world.auditor, wrong)
        with pytest.raises(NotFound):
            world.service.close_clip(wrong, Closing("completed"))
        assert world.service.standing(wrong, None, None)[0] is Standing.UNKNOWN
        assert world.service.knows_clip(wrong, "0" * 64) is None


def designed_clip(world: World, mode: str = "design", voice_id: str = "") -> tuple[str, bytes]:
    """A finished clip of a one-off design, and its bytes."""
    allowed = world.allow(mode=mode, voice_id=voice_id)
    redeemed = world.service.redeem(allowed.token, world.replica.replica_id)
    audio = tone(4.0, hertz=300.0)
    record = world.service.find_clip("acme", redeemed.grant.clip_id)
    assert record is not None
    done = replace(record, audio_sha256=hashlib.sha256(audio).hexdigest(), seconds=4.0)
    world.service.register_clip(done)
    return record.clip_id, audio


def test_a_designed_voice_is_kept_from_our_own_clip_and_speaks_without_a_consent(world: World) -> None:
    clip_id, audio = designed_clip(world)
    voice = world.service.keep_designed_voice(
        world.admin, name="D", language="en", reference=audio, transcript="hello", clip_id=clip_id
    )
    assert (voice.kind, voice.state) == ("designed", "active")
    allowed = world.allow(voice_id=voice.voice_id)
    assert (allowed.grant.basis, allowed.grant.consent_id) == ("designed", None)
    redeemed = world.service.redeem(allowed.token, world.replica.replica_id)
    wav, transcript = open_reference(world.replica, redeemed)
    assert (wav[:4], transcript) == (b"RIFF", "hello")


def test_no_upload_becomes_a_designed_voice(world: World) -> None:
    clip_id, audio = designed_clip(world)
    preset_id, preset_audio = designed_clip(world, "custom", "Vivian")
    clone_id, clone_audio = designed_clip(world, "clone", world.voice.voice_id)
    for reference, claimed in (
        (tone(4.0, hertz=301.0), clip_id),
        (preset_audio, preset_id),
        (clone_audio, clone_id),
        (audio, "clip"),
    ):
        with pytest.raises(InvalidInput) as refused:
            world.service.keep_designed_voice(
                world.admin, name="D", language="en", reference=reference, transcript="t", clip_id=claimed
            )
        assert refused.value.code == "reference_not_designed"
    assert len(list((world.data_dir / "vault" / "acme").iterdir())) == 1

"""The first stage: every row leaves it with a grant or with a reason, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consent_service.errors import LedgerUnavailable
from consent_service.grants import GrantVerifier
from consent_service.models import Claims, Role
from consent_service.proofs.records import KeyPurpose
from pipelines.rows import GrantedRow, RowResult, decided_from, decided_record
from tests.assets.publisher import CLAIMS, PURPOSE
from tests.unit.pipelines.conftest import Stages, script_row


def test_a_batch_comes_out_one_for_one_and_in_order(stages: Stages) -> None:
    publisher = stages.publisher
    decided = stages.consent(
        script_row("preset"),
        script_row("clone", voice=publisher.anna),
        script_row("design", voice="design", instruct="a deep, slow voice"),
        script_row("purpose", voice=publisher.boris, purpose="narration.elearning"),
        script_row("voice", voice="voice_of_nobody"),
        script_row("claim", purpose="advertising"),
        script_row("unknown", purpose="whatever"),
        script_row("null", None),
        script_row("blank", " \n"),
        script_row("bell", "\x07"),
        script_row("long", "a" * 201),
        script_row("tongue", language="xx"),
        script_row("tongueless", language=None),
        script_row("voiceless", voice=None),
    )
    found = [
        one.result.id if isinstance(one, GrantedRow) else (one.id, one.status, one.code) for one in decided
    ]
    assert found == [
        "preset",
        "clone",
        "design",
        ("purpose", "refused", "purpose_not_consented"),
        ("voice", "refused", "voice_unknown"),
        ("claim", "refused", "purpose_not_claimable"),
        ("unknown", "refused", "purpose_unknown"),
        ("null", "refused", "text_empty"),
        ("blank", "refused", "text_empty"),
        ("bell", "refused", "text_control_characters"),
        ("long", "refused", "text_too_long"),
        ("tongue", "refused", "language_unsupported"),
        ("tongueless", "refused", "language_empty"),
        ("voiceless", "refused", "voice_empty"),
    ]


def test_a_grant_is_for_the_words_of_its_row(stages: Stages) -> None:
    ready = stages.ready(voice=stages.publisher.anna)
    verifier = GrantVerifier(stages.publisher.service.keys.public_keys(KeyPurpose.GRANT))
    grant = verifier.verify(ready.token, ready.checked.utterance).grant
    assert (grant.voice_id, grant.consent_id) == (stages.publisher.anna, stages.publisher.anna_consent)
    assert (ready.result.consent_id, ready.result.purpose) == (grant.consent_id, PURPOSE)


def test_what_travels_to_the_engine_arrives_as_it_left(stages: Stages) -> None:
    for decided in stages.consent(script_row("a", seed=-(2**63)), script_row("b", None)):
        assert decided_from(decided_record(decided)) == decided


def test_texts_and_grants_are_not_shown(stages: Stages) -> None:
    row = script_row("a", "SECRET words", instruct="SECRET style", voice=stages.publisher.anna)
    ready = stages.ready("a", text="SECRET words", instruct="SECRET style", voice=stages.publisher.anna)
    assert "SECRET" not in repr(row) + repr(ready)
    assert ready.token not in repr(ready)


class Unreachable:
    """A ledger that cannot be asked."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: object) -> None:
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (LedgerUnavailable("the ledger cannot be reached"), "ledger_unavailable"),
        (OSError("x"), "internal_error"),
    ],
)
def test_a_gate_that_fails_lets_nothing_through(stages: Stages, fault: Exception, code: str) -> None:
    decided = stages.consent(script_row("a"), script_row("b", None), service=Unreachable(fault))
    assert [(one.status, one.code) for one in decided if isinstance(one, RowResult)] == [
        ("error", code),
        ("refused", "text_empty"),
    ]


def test_a_key_that_was_revoked_refuses_every_row(stages: Stages) -> None:
    stages.publisher.service.tenants.revoke_key(stages.publisher.admin, stages.publisher.narrator.key_id)
    (decided,) = stages.consent(script_row("a"))
    assert isinstance(decided, RowResult)
    assert (decided.status, decided.code) == ("refused", "unauthenticated")


# Going on ----------------------------------------------------------------------------------------------------


@pytest.fixture
def done(stages: Stages) -> RowResult:
    """A row of Anna's that an earlier run finished."""
    result = stages.finish(stages.ready("a", voice=stages.publisher.anna))
    assert result.status == "ok", result
    stages.finished["a"] = result
    return result


def again(stages: Stages, **columns: Any) -> RowResult | GrantedRow:
    (decided,) = stages.consent(script_row("a", **{"voice": stages.publisher.anna, **columns}))
    return decided


def test_a_finished_row_is_kept(stages: Stages, done: RowResult) -> None:
    assert again(stages) == done


def test_a_row_is_not_kept_on_the_word_of_the_output_folder(stages: Stages, done: RowResult) -> None:
    """Whoever can write there could name another clip, or another digest; the register knows better."""
    other = stages.finish(stages.ready("b", voice="preset:Vivian"))
    for forged in (
        replace(done, audio_sha256="ab" * 32),
        replace(done, clip_id="f" * 32),
        replace(done, clip_id=other.clip_id, audio_sha256=other.audio_sha256),
    ):
        stages.finished["a"] = forged
        assert isinstance(again(stages), GrantedRow)


def test_a_clip_made_for_another_grantee_is_not_kept(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset's clip names no consent, so the grantee alone tells the two apart."""
    stages.finished["a"] = stages.finish(stages.ready("a"))
    assert isinstance(stages.consent(script_row("a"))[0], RowResult)
    theirs = Claims(purposes=CLAIMS, voices=("*",))
    service, admin = stages.publisher.service, stages.publisher.admin
    key = service.tenants.create_key(admin, grantee="Others", roles=[Role.NARRATOR], claims=theirs)
    monkeypatch.setitem(stages.publisher.keys, "narrator", key)
    assert isinstance(stages.consent(script_row("a"))[0], GrantedRow)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "The lamp was out."},
        {"language": "de"},
        {"instruct": "softly"},
        {"seed": 3},
        {"voice": "preset:Vivian"},
        {"purpose": "narration.elearning"},
    ],
)
def test_a_row_that_changed_is_spoken_again(stages: Stages, done: RowResult, change: dict[str, Any]) -> None:
    assert isinstance(again(stages, **change), GrantedRow)


def test_a_row_whose_clip_is_gone_is_spoken_again(stages: Stages, done: RowResult) -> None:
    assert done.clip_id is not None
    stages.clips.delete(done.clip_id)
    assert isinstance(again(stages), GrantedRow)


def test_a_row_made_under_a_consent_that_was_replaced_is_spoken_again(
    stages: Stages, done: RowResult
) -> None:
    stages.publisher.consent_to(stages.publisher.anna, PURPOSE)  # the key is bound to this one now
    assert isinstance(again(stages), GrantedRow)


def test_a_row_whose_consent_was_withdrawn_is_refused_and_its_clip_goes(
    stages: Stages, done: RowResult
) -> None:
    stages.publisher.revoke(stages.publisher.anna_consent)
    refused = again(stages)
    assert isinstance(refused, RowResult)
    assert (refused.status, refused.code, refused.clip_id) == ("refused", "consent_revoked", None)
    assert stages.files() == []


def test_an_outage_of_the_ledger_offers_no_clip_and_costs_none(stages: Stages, done: RowResult) -> None:
    row = script_row("a", voice=stages.publisher.anna)
    (out,) = stages.consent(row, service=Unreachable(LedgerUnavailable("the ledger cannot be reached")))
    assert isinstance(out, RowResult)
    assert (out.status, out.clip_uri) == ("error", None)
    assert len(stages.files()) == 1
    stages.finished["a"] = out
    assert again(stages) == done


def test_a_clip_the_ledger_does_not_know_is_not_kept(stages: Stages, done: RowResult) -> None:
    stranger = "f" * 32
    stages.clips.write(stranger, b"a clip of another ledger")
    stages.finished["a"] = replace(done, clip_id=stranger)
    assert isinstance(again(stages), GrantedRow)


def test_a_clip_outside_the_folder_is_never_taken_for_ours(stages: Stages, done: RowResult) -> None:
    stages.finished["a"] = replace(done, clip_id="../../etc/passwd")
    decided = again(stages)
    assert isinstance(decided, GrantedRow) or decided.status == "error"

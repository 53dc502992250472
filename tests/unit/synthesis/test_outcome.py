"""How a synthesis that did not succeed is closed, and what its row says: one table for both doors."""

from __future__ import annotations

import asyncio
import logging

import pytest

from consent_service import errors as consent
from consent_service.proofs.records import Standing
from foundation.errors import CodedError
from provenance import errors as provenance
from speech import errors as speech
from synthesis.outcome import closing_for, row_failure


class Refusal(CodedError):
    """An error of ours as it comes over a handle: no class of a room any more, but its code."""


@pytest.mark.parametrize(
    ("exc", "outcome", "reason", "status"),
    [
        (consent.GrantRevoked("m"), "cut", "consent_revoked", "refused"),
        (consent.GrantRevoked("m", code="consent_expired"), "cut", "consent_expired", "refused"),
        (speech.SynthesisCancelled("m", code="consent_revoked"), "cut", "consent_revoked", "refused"),
        (
            speech.SynthesisCancelled("m", code="voice_decommissioned"),
            "cut",
            "voice_decommissioned",
            "refused",
        ),
        (speech.SynthesisCancelled("m"), "failed", "synthesis_cancelled", "error"),
        (speech.SynthesisCancelled("m", code="disconnected"), "disconnected", "disconnected", "error"),
        # A row that must change is not thereby cut: nobody withdrew anything.
        (consent.GrantRevoked("m", code="key_revoked"), "failed", "key_revoked", "refused"),
        (consent.GrantRevoked("m", code="budget_exhausted"), "failed", "budget_exhausted", "refused"),
        (consent.KeyDestroyed("m"), "failed", "key_destroyed", "refused"),
        (consent.NotFound("m"), "failed", "not_found", "refused"),
        (consent.PermissionDenied("m"), "failed", "permission_denied", "refused"),
        (consent.InvalidInput("m"), "failed", "invalid_input", "refused"),
        (speech.TextError("m", code="text_empty"), "failed", "text_empty", "refused"),
        (speech.SpeakerUnknown("m"), "failed", "speaker_unknown", "refused"),
        (consent.LedgerUnavailable("m"), "failed", "ledger_unavailable", "error"),
        (consent.GrantForged("m"), "failed", "grant_forged", "error"),
        (consent.VaultError("m"), "failed", "vault_error", "error"),
        (speech.SynthesisFailed("m"), "failed", "synthesis_failed", "error"),
        (speech.EngineUnavailable("m"), "failed", "engine_unavailable", "error"),
        (provenance.StampFailed("m"), "failed", "stamp_failed", "error"),
        (ValueError("SECRET words"), "failed", "internal_error", "error"),
        (OSError(28, "SECRET path"), "failed", "internal_error", "error"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else str(value),
)
def test_an_error_has_one_closing_and_one_row_status(
    exc: Exception, outcome: str, reason: str, status: str
) -> None:
    closing, row = closing_for(exc), row_failure(exc)
    assert (closing.outcome, closing.reason) == (outcome, reason)
    assert (row.status, row.code) == (status, reason)
    assert (closing.seconds, closing.audio_sha256) == (0.0, "")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("consent_revoked", "cut"),
        ("consent_expired", "cut"),
        ("voice_decommissioned", "cut"),
        ("deadline_exceeded", "cut"),
        ("disconnected", "disconnected"),
        ("revocations_unknown", "failed"),
        ("engine_unavailable", "failed"),
        ("a_code_of_tomorrow", "failed"),
    ],
)
def test_a_refusal_that_came_over_a_handle_is_closed_as_the_error_itself(code: str, outcome: str) -> None:
    closing = closing_for(Refusal("what the caller can do", code=code))
    assert (closing.outcome, closing.reason) == (outcome, code)


@pytest.mark.parametrize("exc", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()])
def test_who_went_away_is_written_down_as_gone_and_whose_time_was_up_as_cut(exc: BaseException) -> None:
    assert closing_for(exc).outcome == "disconnected"
    late = closing_for(exc, cancelled="deadline_exceeded")
    assert (late.outcome, late.reason) == ("cut", "deadline_exceeded")


def test_a_code_of_a_librarys_error_is_not_taken_for_ours() -> None:
    class LibraryError(Exception):
        code = "e3q8"

    assert closing_for(LibraryError()).reason == "internal_error"


def test_an_unexpected_error_says_type_and_place_and_never_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise ValueError("SECRET words")

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="SECRET") as raised:
        fail()
    row = row_failure(raised.value)
    assert row.message.startswith(f"ValueError at {__name__}:")
    assert "SECRET" not in row.message + caplog.text
    assert "ValueError" in caplog.text


def test_a_message_of_ours_reaches_the_row() -> None:
    assert row_failure(consent.LedgerUnavailable("try again")).message == "try again"


@pytest.mark.parametrize("standing", Standing)
def test_a_clip_may_leave_while_its_consent_stands_or_none_is_needed(standing: Standing) -> None:
    assert standing.may_leave == (standing in (Standing.LIVE, Standing.NOT_REQUIRED))

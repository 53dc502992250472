"""The decision, without a ledger: what it allows, what it denies, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_service.grants import Basis
from consent_service.models import Claims, ConsentTerms, Deny, SpeechClaim
from consent_service.policy import decide as policy
from consent_service.policy import purposes
from consent_service.policy.decide import ConsentFacts, Facts, Permitted, VoiceFacts, decide

CLAIM = SpeechClaim("clone", "v", "en", "0" * 64, 5, purpose="narration.audiobook")
TERMS = ConsentTerms("studio", ("narration",), ("en",), valid_from=100.0, valid_until=200.0)
CONSENT = ConsentFacts("c", 3, "v", "live", TERMS)
FACTS = Facts(
    now=150.0,
    grantee="studio",
    claims=Claims(
        purposes=("narration",), voices=("v",), territories=("DE", "FR"), channels=("radio", "web")
    ),
    voice=VoiceFacts("v", "cloned", "active", 7),
    consent=CONSENT,
)


def facts(**changes: Any) -> Facts:
    return replace(FACTS, **changes)


def terms(**changes: Any) -> Facts:
    return replace(FACTS, consent=replace(CONSENT, terms=replace(TERMS, **changes)))


def claims(**changes: Any) -> Facts:
    return replace(FACTS, claims=replace(FACTS.claims, **changes))


def claim(**changes: Any) -> SpeechClaim:
    return replace(CLAIM, **changes)


def test_a_live_consent_of_the_grantee_for_the_purpose_lets_the_voice_speak() -> None:
    permitted = decide(CLAIM, FACTS)
    assert permitted == Permitted(Basis.CONSENT, "v", 7, "narration.audiobook", CONSENT)


@pytest.mark.parametrize(
    ("asked", "known", "code"),
    [
        (CLAIM, facts(consent=None), "consent_required"),
        (claim(consent_token="x"), facts(consent=None), "consent_token_invalid"),
        (
            claim(consent_token="x"),
            facts(consent=replace(CONSENT, voice_id="other")),
            "consent_token_invalid",
        ),
        (CLAIM, facts(consent=replace(CONSENT, state="revoked")), "consent_revoked"),
        (CLAIM, facts(now=200.0), "consent_expired"),
        (CLAIM, facts(now=99.9), "consent_not_yet_valid"),
        (claim(purpose=None), claims(purposes=()), "purpose_required"),
        (claim(purpose=None), claims(purposes=("narration", "dubbing")), "purpose_required"),
        (claim(purpose="world_domination"), FACTS, "purpose_unknown"),
        (claim(purpose="advertising"), FACTS, "purpose_not_claimable"),
        (CLAIM, terms(purposes=("narration.elearning",)), "purpose_not_consented"),
        (claim(language="de"), FACTS, "language_not_consented"),
        (CLAIM, terms(languages=()), "language_not_consented"),
        (claim(territory="US"), FACTS, "territory_not_claimable"),
        (claim(territory="FR"), terms(territories=("DE",)), "territory_not_consented"),
        (CLAIM, terms(territories=("DE",)), "territory_required"),
        (CLAIM, terms(territories=()), "territory_required"),
        (claim(channel="cinema"), FACTS, "channel_not_claimable"),
        (claim(channel="web"), terms(channels=("radio",)), "channel_not_consented"),
        (CLAIM, terms(channels=("radio",)), "channel_required"),
        (CLAIM, facts(grantee="others"), "grantee_mismatch"),
        (CLAIM, facts(voice=None), "voice_unknown"),
        (CLAIM, claims(voices=("w",)), "voice_unknown"),
        (CLAIM, claims(voices=()), "voice_unknown"),
        (CLAIM, facts(voice=VoiceFacts("v", "cloned", "review", 7)), "voice_not_active"),
        (CLAIM, facts(voice=VoiceFacts("v", "cloned", "refused", 7)), "voice_not_active"),
        (CLAIM, facts(voice=VoiceFacts("v", "cloned", "decommissioned", 7)), "voice_decommissioned"),
        (claim(said_digest="0" * 63), FACTS, "claim_invalid"),
        (claim(characters=0), FACTS, "claim_invalid"),
        (claim(characters=10**18), FACTS, "claim_invalid"),
        (claim(mode="custom", voice_id="../etc"), claims(voices=("*",)), "voice_unknown"),
        (claim(mode="custom", voice_id="Vivian"), claims(voices=("v",)), "voice_unknown"),
        (claim(mode="design", voice_id=""), claims(voices=("v",)), "voice_unknown"),
        (
            claim(mode="design", voice_id="", purpose="advertising"),
            claims(voices=("*",)),
            "purpose_not_claimable",
        ),
    ],
)
def test_whatever_is_not_allowed_is_denied_with_its_code(asked: SpeechClaim, known: Facts, code: str) -> None:
    denied = decide(asked, known)
    assert isinstance(denied, Deny)
    assert denied.code == code
    assert not denied


def test_every_code_says_what_to_do_and_is_reachable_by_name() -> None:
    for code in policy.REASONS:
        assert policy.deny(code).reason


@pytest.mark.parametrize(
    ("asked", "known", "basis", "voice_id"),
    [
        (
            claim(mode="custom", voice_id="Vivian"),
            claims(voices=("preset:*",)),
            Basis.PRESET,
            "preset:Vivian",
        ),
        (
            claim(mode="custom", voice_id="Vivian"),
            claims(voices=("preset:Vivian",)),
            Basis.PRESET,
            "preset:Vivian",
        ),
        (claim(mode="design", voice_id=""), claims(voices=("design",)), Basis.DESIGN, "design"),
        (CLAIM, facts(voice=VoiceFacts("v", "designed", "active", 1), consent=None), Basis.DESIGNED, "v"),
    ],
)
def test_without_a_person_no_consent_is_needed(
    asked: SpeechClaim, known: Facts, basis: Basis, voice_id: str
) -> None:
    permitted = decide(asked, known)
    assert isinstance(permitted, Permitted)
    assert (permitted.basis, permitted.voice_id, permitted.consent) == (basis, voice_id, None)


def test_the_only_purpose_territory_and_channel_of_a_key_need_no_naming() -> None:
    known = replace(
        terms(territories=("DE",), channels=("radio",)),
        claims=Claims(("narration",), ("v",), territories=("DE",), channels=("radio",)),
    )
    permitted = decide(claim(purpose=None), known)
    assert isinstance(permitted, Permitted)
    assert permitted.purpose == "narration"


@pytest.mark.parametrize("nothing_said", [facts(voice=None), claims(voices=("w",))])
@pytest.mark.parametrize("state", ["active", "review", "decommissioned"])
def test_a_voice_that_may_not_be_named_gives_nothing_away(nothing_said: Facts, state: str) -> None:
    hidden = replace(nothing_said, voice=nothing_said.voice and VoiceFacts("v", "cloned", state, 1))
    assert decide(CLAIM, hidden) == policy.deny("voice_unknown")


KNOWN = st.sampled_from(sorted(purposes.PURPOSES))


@given(held=KNOWN, asked=KNOWN)
def test_a_purpose_covers_itself_and_what_lies_below_it_and_nothing_else(held: str, asked: str) -> None:
    below = asked.split(".")[: len(held.split("."))] == held.split(".")
    assert purposes.covers(held, asked) is below
    known = replace(terms(purposes=(held,)), claims=Claims((asked,), ("v",)))
    assert isinstance(decide(claim(purpose=asked), known), Permitted) is below


def test_a_purpose_does_not_cover_one_that_only_begins_alike() -> None:
    assert not purposes.covers("training", "trainings")
    assert not purposes.covers("narration.news", "narration.newsreel")


@given(
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(0, 1000),
)
def test_a_consent_speaks_from_its_first_moment_up_to_its_last_excluded(
    now: float, start: float, end: float
) -> None:
    known = replace(terms(valid_from=start, valid_until=end), now=now)
    assert isinstance(decide(CLAIM, known), Permitted) is (start <= now < end)


TEXT = st.text(max_size=12)


@given(
    mode=st.sampled_from(["clone", "custom", "design"]),
    voice_id=st.one_of(TEXT, st.just("v")),
    language=TEXT,
    purpose=st.one_of(st.none(), KNOWN, TEXT),
    token=st.one_of(st.none(), TEXT),
    territory=st.one_of(st.none(), TEXT),
    channel=st.one_of(st.none(), TEXT),
)
def test_no_request_in_any_words_gets_a_person_s_voice_without_their_consent(
    mode: Any, voice_id: str, language: str, purpose: str | None, token: str | None, territory: str | None,
    channel: str | None,
) -> None:  # fmt: skip
    asked = SpeechClaim(mode, voice_id, language, "0" * 64, 1, purpose, token, territory, channel)
    for consent in (None, replace(CONSENT, state="revoked"), replace(CONSENT, voice_id="other")):
        verdict = decide(asked, facts(consent=consent))
        assert isinstance(verdict, Deny) or verdict.basis is not Basis.CONSENT

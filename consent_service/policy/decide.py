"""The gate's decision: facts in, `Permitted` or `Deny` out. Pure: no I/O, no clock, no randomness.

The order of the checks is part of the promise. What the key may claim comes first, so that a caller learns
nothing of a voice it may not name: a voice that does not exist, one of another tenant and one outside the
key's claims give the same answer (`voice_unknown`). Whatever is not expressly allowed is denied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from consent_service.grants import DESIGN_VOICE, PRESET_PREFIX, Basis
from consent_service.models import Claims, ConsentTerms, Deny, SpeechClaim
from consent_service.policy import purposes

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "claim_invalid": "the request's digest or length is not well formed",
        "purpose_required": "name a purpose: this key may claim none or several",
        "purpose_unknown": "the purpose is not one of the known terms",
        "purpose_not_claimable": "this key may not claim the purpose; ask an operator for a key that may",
        "purpose_not_consented": "the consent does not cover this purpose; ask the voice's owner",
        "territory_required": "the consent is limited to some territories; name the one of this use",
        "territory_not_claimable": "this key may not claim the territory",
        "territory_not_consented": "the consent does not cover this territory",
        "channel_required": "the consent is limited to some channels; name the one of this use",
        "channel_not_claimable": "this key may not claim the channel",
        "channel_not_consented": "the consent does not cover this channel",
        "voice_unknown": "no such voice for this key",
        "voice_not_active": "the voice is not approved for use",
        "voice_decommissioned": "the voice was decommissioned; it will not speak again",
        "consent_required": "no consent is bound to this key for this voice; send a consent_token",
        "consent_token_invalid": "the consent_token is not one of this voice",
        "consent_revoked": "the consent was withdrawn",
        "consent_expired": "the consent has ended",
        "consent_not_yet_valid": "the consent has not begun yet",
        "grantee_mismatch": "the consent was given to another grantee than this key's",
        "language_not_consented": "the consent does not cover this language",
        "processing_outside_not_consented": "the consent does not allow processing outside the boundary",
        "budget_exhausted": "the characters that the consent allows in all are used up; ask the voice's owner",
        "rate_limited": "too many of this key's requests were refused, and this one is too; try again later",
    }
)
MAX_CHARACTERS: Final = 1_000_000  # of one utterance; far above what any engine takes
_SPEAKER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """A voice of the caller's tenant."""

    voice_id: str
    kind: str
    state: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """A consent of the caller's tenant."""

    consent_id: str
    version: int
    voice_id: str
    state: Literal["live", "revoked"]
    terms: ConsentTerms
    characters_used: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the ledger knows of one request. `consent` is the token's where one was sent, else the
    binding's."""

    now: float
    grantee: str
    claims: Claims
    voice: VoiceFacts | None = None
    consent: ConsentFacts | None = None


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a grant may be issued for."""

    basis: Basis
    voice_id: str
    voice_epoch: int
    purpose: str
    consent: ConsentFacts | None = None


def deny(code: str) -> Deny:
    return Deny(code, REASONS[code])


def decide(claim: SpeechClaim, facts: Facts) -> Permitted | Deny:
    """May this claim speak?"""
    if not (_DIGEST.fullmatch(claim.said_digest) and 1 <= claim.characters <= MAX_CHARACTERS):
        return deny("claim_invalid")
    purpose = _purpose(claim.purpose, facts.claims)
    if isinstance(purpose, Deny):
        return purpose
    for axis, asked, held in (
        ("territory", claim.territory, facts.claims.territories),
        ("channel", claim.channel, facts.claims.channels),
    ):
        if asked is not None and asked not in held and "*" not in held:
            return deny(f"{axis}_not_claimable")
    if claim.mode == "clone":
        return _clone(claim, facts, purpose)
    return _without_reference(claim, facts, purpose)


def may_order(claims: Claims, voice_id: str, purpose: str) -> bool:
    """Whether a key with these claims could have asked for a clip in this voice, for this purpose."""
    return _may_name(claims, voice_id) and purposes.any_covers(claims.purposes, purpose)


def standing_of(consent: ConsentFacts, now: float) -> Deny | None:
    """Why a consent does not stand at `now`; None when it does."""
    if consent.state != "live":
        return deny("consent_revoked")
    if now >= consent.terms.valid_until:
        return deny("consent_expired")
    if now < consent.terms.valid_from:
        return deny("consent_not_yet_valid")
    return None


def within_budget(consent: ConsentFacts, characters: int) -> bool:
    """Whether so many more may be spoken under it."""
    budget = consent.terms.character_budget
    return budget is None or consent.characters_used + characters <= budget


def _without_reference(claim: SpeechClaim, facts: Facts, purpose: str) -> Permitted | Deny:
    if claim.mode == "design":
        basis, voice_id = Basis.DESIGN, DESIGN_VOICE
    elif _SPEAKER.fullmatch(claim.voice_id):
        basis, voice_id = Basis.PRESET, f"{PRESET_PREFIX}{claim.voice_id}"
    else:
        return deny("voice_unknown")
    if not _may_name(facts.claims, voice_id):
        return deny("voice_unknown")
    return Permitted(basis, voice_id, 0, purpose)


def _clone(claim: SpeechClaim, facts: Facts, purpose: str) -> Permitted | Deny:
    voice = facts.voice
    if voice is None or voice.voice_id != claim.voice_id or not _may_name(facts.claims, voice.voice_id):
        return deny("voice_unknown")
    if voice.state == "decommissioned":
        return deny("voice_decommissioned")
    if voice.state != "active":
        return deny("voice_not_active")
    if voice.kind == "designed":
        return Permitted(Basis.DESIGNED, voice.voice_id, voice.epoch, purpose)
    consent = facts.consent
    if consent is None or consent.voice_id != voice.voice_id:
        return deny("consent_required" if claim.consent_token is None else "consent_token_invalid")
    # `Deny` is falsy, so the two are told apart by identity, never by truth.
    refused = standing_of(consent, facts.now)
    if refused is None:
        refused = _terms(claim, facts, consent.terms, purpose)
    if refused is None and not within_budget(consent, claim.characters):
        refused = deny("budget_exhausted")
    if refused is not None:
        return refused
    return Permitted(Basis.CONSENT, voice.voice_id, voice.epoch, purpose, consent)


def _terms(claim: SpeechClaim, facts: Facts, terms: ConsentTerms, purpose: str) -> Deny | None:
    if terms.grantee != facts.grantee:
        return deny("grantee_mismatch")
    if not purposes.any_covers(terms.purposes, purpose):
        return deny("purpose_not_consented")
    if "*" not in terms.languages and claim.language not in terms.languages:
        return deny("language_not_consented")
    if claim.outside_boundary and not terms.outside_boundary:
        return deny("processing_outside_not_consented")
    for axis, asked, claimable, allowed in (
        ("territory", claim.territory, facts.claims.territories, terms.territories),
        ("channel", claim.channel, facts.claims.channels, terms.channels),
    ):
        if "*" in allowed or "WORLD" in allowed:
            continue
        named = asked or _only(claimable)
        if named is None:
            return deny(f"{axis}_required")
        if named not in allowed:
            return deny(f"{axis}_not_consented")
    return None


def _purpose(asked: str | None, claims: Claims) -> str | Deny:
    if asked is None:
        return _only(claims.purposes) or deny("purpose_required")
    if not purposes.is_known(asked):
        return deny("purpose_unknown")
    if not purposes.any_covers(claims.purposes, asked):
        return deny("purpose_not_claimable")
    return asked


def _may_name(claims: Claims, voice_id: str) -> bool:
    if "*" in claims.voices or voice_id in claims.voices:
        return True
    return voice_id.startswith(PRESET_PREFIX) and f"{PRESET_PREFIX}*" in claims.voices


def _only(values: tuple[str, ...]) -> str | None:
    """The one value that needs no naming. A wildcard names nothing."""
    return values[0] if len(values) == 1 and values[0] != "*" else None

"""The gate is asked for the very voice that is meant, and the engine for what was granted and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consent_service.errors import GrantMismatch, VaultError
from consent_service.grants import Basis
from consent_service.vault.sealing import ReplicaKey
from speech.engine import CloneRequest, CustomVoiceRequest, DesignRequest, EngineInfo
from speech.errors import RequestInvalid, SpeakerUnknown, UngrantedClone
from speech.text import prepare
from synthesis.request import engine_request, require_same_grant, require_speaker, speech_claim
from synthesis.voice import Design, LedgerVoice, Preset, VoiceRef
from tests.assets.grants import granted
from tests.unit.synthesis.redemption import redeemed_for

UTTERANCE = prepare("Good morning.", "en", "calmly")
INFO = EngineInfo("embedded", "m", "d", False, frozenset({"clone", "custom"}), ("en",), ("Ryan", "Vivian"))


@pytest.fixture
def key() -> ReplicaKey:
    return ReplicaKey("replica-1")


@pytest.mark.parametrize(
    ("voice", "mode", "voice_id"),
    [
        (LedgerVoice("voice_0f3a"), "clone", "voice_0f3a"),
        (Preset("Vivian"), "custom", "Vivian"),
        (Design(), "design", ""),
        (LedgerVoice("preset:Vivian"), "clone", "preset:Vivian"),
    ],
)
def test_a_claim_names_the_voice_in_the_gates_words(voice: VoiceRef, mode: str, voice_id: str) -> None:
    claim = speech_claim(
        voice, UTTERANCE, purpose="narration", consent_token="t", territory="DE", channel="web"
    )
    assert (claim.mode, claim.voice_id) == (mode, voice_id)
    assert (claim.said_digest, claim.language, claim.characters) == (UTTERANCE.digest(), "en", 13)
    assert (claim.purpose, claim.consent_token, claim.territory, claim.channel) == (
        "narration",
        "t",
        "DE",
        "web",
    )


@pytest.mark.parametrize("basis", [Basis.CONSENT, Basis.DESIGNED])
def test_a_clone_request_holds_the_opened_reference_in_mono(key: ReplicaKey, basis: Basis) -> None:
    verified = granted(UTTERANCE, basis=basis)
    request = engine_request(verified, redeemed_for(verified.grant, key), UTTERANCE, 5, key)
    assert isinstance(request, CloneRequest)
    assert (request.grant, request.utterance, request.seed) == (verified, UTTERANCE, 5)
    reference = request.reference
    assert (reference.sample_rate, reference.transcript) == (16_000, "what it says")
    assert np.array_equal(reference.samples, np.full(1_600, 0.375, np.float32))


def test_a_preset_or_a_design_needs_no_reference(key: ReplicaKey) -> None:
    preset = granted(UTTERANCE, basis=Basis.PRESET, voice_id="preset:Vivian")
    design = granted(UTTERANCE, basis=Basis.DESIGN, voice_id="design")
    assert engine_request(preset, redeemed_for(preset.grant, key), UTTERANCE, 5, key) == CustomVoiceRequest(
        preset.grant.grant_id, UTTERANCE, "Vivian", 5
    )
    assert engine_request(design, redeemed_for(design.grant, key), UTTERANCE, 5, key) == DesignRequest(
        design.grant.grant_id, UTTERANCE, 5
    )


def test_a_clone_of_other_words_than_the_granted_cannot_be_built(key: ReplicaKey) -> None:
    verified = granted(UTTERANCE)
    with pytest.raises(UngrantedClone):
        engine_request(verified, redeemed_for(verified.grant, key), prepare("Good night.", "en"), 5, key)


def test_a_reference_opens_for_its_own_replica_and_grant_alone(key: ReplicaKey) -> None:
    verified, other = granted(UTTERANCE), granted(UTTERANCE)
    redeemed = redeemed_for(verified.grant, key)
    for wrong in (
        (verified, redeemed, UTTERANCE, 5, ReplicaKey("replica-1")),
        (other, replace(redeemed, grant=other.grant), UTTERANCE, 5, key),
        (verified, replace(redeemed, sealed_reference=None), UTTERANCE, 5, key),
    ):
        with pytest.raises(VaultError):
            engine_request(*wrong)


def test_a_reference_that_is_no_recording_is_refused_without_being_quoted(key: ReplicaKey) -> None:
    verified = granted(UTTERANCE)
    redeemed = redeemed_for(verified.grant, key, wav=b"SECRET bytes")
    with pytest.raises(RequestInvalid) as refused:
        engine_request(verified, redeemed, UTTERANCE, 5, key)
    assert "SECRET" not in refused.value.message


@pytest.mark.parametrize("name", ["Vivian", "vivian", "RYAN"])
def test_a_preset_of_the_engine_is_known_in_any_case(name: str) -> None:
    require_speaker(INFO, granted(UTTERANCE, basis=Basis.PRESET, voice_id=f"preset:{name}").grant)


def test_a_preset_that_the_engine_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(SpeakerUnknown, match="Ryan, Vivian"):
        require_speaker(INFO, granted(UTTERANCE, basis=Basis.PRESET, voice_id="preset:Nobody").grant)


@pytest.mark.parametrize("basis", [Basis.CONSENT, Basis.DESIGNED, Basis.DESIGN])
def test_what_is_no_preset_needs_no_speaker(basis: Basis) -> None:
    require_speaker(INFO, granted(UTTERANCE, basis=basis, voice_id="preset:Nobody").grant)


def test_a_redemption_of_another_grant_is_not_believed(key: ReplicaKey) -> None:
    verified, other = granted(UTTERANCE), granted(UTTERANCE)
    require_same_grant(verified, redeemed_for(verified.grant, key))
    with pytest.raises(GrantMismatch):
        require_same_grant(verified, redeemed_for(other.grant, key))

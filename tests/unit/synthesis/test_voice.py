"""A voice is spelt one way, wherever it is written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_service.grants import Basis
from speech.engine import CustomVoiceRequest, DesignRequest
from speech.text import prepare
from synthesis.voice import Design, LedgerVoice, Preset, VoiceRef, find_voice, parse_voice, voice_of
from tests.assets.grants import granted

UTTERANCE = prepare("Good morning.", "en")


@given(st.text())
def test_parsing_a_voice_reverses_formatting_it(text: str) -> None:
    assert str(parse_voice(text)) == text
    assert parse_voice(str(Preset(text))) == Preset(text)


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("preset:Vivian", Preset("Vivian")),
        ("preset:", Preset("")),
        ("Preset:Vivian", LedgerVoice("Preset:Vivian")),
        ("design", Design()),
        ("designed", LedgerVoice("designed")),
        ("voice_0f3a", LedgerVoice("voice_0f3a")),
        ("", LedgerVoice("")),
    ],
)
def test_prefix_and_word_decide_the_kind_of_voice(text: str, voice: VoiceRef) -> None:
    assert parse_voice(text) == voice


@pytest.mark.parametrize("text", ["Vivian", "vivian", "VIVIAN", "preset:vivian"])
def test_a_caller_finds_a_preset_in_any_case_with_or_without_prefix(text: str) -> None:
    assert find_voice(text, ("Ryan", "Vivian")) == Preset("Vivian")


def test_a_name_that_is_no_preset_is_a_ledger_voice() -> None:
    assert find_voice("voice_0f3a", ("Ryan", "Vivian")) == LedgerVoice("voice_0f3a")


@pytest.mark.parametrize(
    ("basis", "voice_id", "voice"),
    [
        (Basis.PRESET, "preset:Vivian", Preset("Vivian")),
        (Basis.DESIGN, "design", Design()),
        (Basis.CONSENT, "voice_0f3a", LedgerVoice("voice_0f3a")),
        (Basis.DESIGNED, "voice_0f3a", LedgerVoice("voice_0f3a")),
        # Whatever a ledger calls its voices: the basis decides, not the spelling.
        (Basis.CONSENT, "preset:Vivian", LedgerVoice("preset:Vivian")),
        (Basis.DESIGNED, "design", LedgerVoice("design")),
    ],
)
def test_the_basis_of_a_grant_decides_the_kind_of_voice(basis: Basis, voice_id: str, voice: VoiceRef) -> None:
    assert voice_of(granted(UTTERANCE, basis=basis, voice_id=voice_id).grant) == voice


def test_grants_and_engine_requests_spell_a_voice_alike() -> None:
    assert CustomVoiceRequest("r", UTTERANCE, "Vivian").voice_id == str(Preset("Vivian"))
    assert DesignRequest("r", UTTERANCE).voice_id == str(Design())

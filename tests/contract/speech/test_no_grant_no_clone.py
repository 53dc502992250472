"""I1, the engine's part: a clone request exists only for a grant verified for this very utterance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from consent_service.errors import GrantForged
from consent_service.grants import Basis, VerifiedGrant
from speech.engine import CloneRequest
from speech.errors import UngrantedClone
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import reference

SAID = prepare("Read this sentence.", "en")
OTHERS = {
    "text": prepare("Read that sentence.", "en"),
    "language": prepare("Read this sentence.", "de"),
    "instruction": prepare("Read this sentence.", "en", "angrily"),
}


def test_a_grant_for_this_utterance_makes_a_request() -> None:
    verified = granted(SAID, voice_id="voice-7")
    request = CloneRequest(verified, SAID, reference(120))
    assert request.voice_id == "voice-7"
    assert request.request_id == verified.grant.grant_id


def test_a_kept_designed_voice_is_cloned_under_its_grant_too() -> None:
    assert CloneRequest(granted(SAID, basis=Basis.DESIGNED), SAID, reference(120))


@pytest.mark.parametrize("changed", OTHERS)
def test_a_grant_does_not_cover_another(changed: str) -> None:
    with pytest.raises(UngrantedClone):
        CloneRequest(granted(SAID), OTHERS[changed], reference(120))


@pytest.mark.parametrize("changed", OTHERS)
def test_a_request_cannot_be_turned_into_another(changed: str) -> None:
    request = CloneRequest(granted(SAID), SAID, reference(120))
    with pytest.raises(UngrantedClone):
        replace(request, utterance=OTHERS[changed])


@pytest.mark.parametrize("basis", [Basis.PRESET, Basis.DESIGN])
def test_a_grant_for_a_preset_or_a_design_is_none_for_a_clone(basis: Basis) -> None:
    with pytest.raises(UngrantedClone):
        CloneRequest(granted(SAID, basis=basis), SAID, reference(120))


@pytest.mark.parametrize("not_a_grant", [None, "token", granted(SAID).grant, object()])
def test_nothing_else_stands_in_for_a_verified_grant(not_a_grant: Any) -> None:
    with pytest.raises(UngrantedClone) as raised:
        CloneRequest(cast("VerifiedGrant", not_a_grant), SAID, reference(120))
    assert raised.value.code == "grant_missing"


def test_a_verified_grant_comes_from_the_verifier_alone() -> None:
    honest = granted(SAID)
    with pytest.raises(GrantForged):
        VerifiedGrant(honest.grant, honest.token, object())
    with pytest.raises(GrantForged):
        replace(honest, _made_by=None)

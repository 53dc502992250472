"""Consents over HTTP: everything that can be agreed on and everything that can be narrowed, and nothing widened."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.serve_app.house import Studio, code_of


def agreed(studio: Studio, **more: Any) -> dict[str, Any]:
    studio.state(studio.voice.voice_id, "accessibility")
    body = {
        "voice_id": studio.voice.voice_id, "grantee": "studio", "purposes": ["narration", "accessibility"],
        "languages": ["en", "de"], "territories": ["DE", "AT"], "channels": ["podcast", "radio"],
        "valid_from": time.time() - 1, "valid_until": time.time() + 3600, "outside_boundary": True,
        "character_budget": 1_000, **more,
    }  # fmt: skip
    answer = studio.house.post("/v1/consents", body, key=studio.keys["admin"])
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["consent"]
    return made


NARROWER: dict[str, Any] = {
    "purposes": ["narration"], "languages": ["en"], "territories": ["DE"], "channels": ["radio"],
    "character_budget": 500,
}  # fmt: skip


def test_a_consent_takes_a_budget_and_processing_outside(studio: Studio) -> None:
    terms = agreed(studio)["terms"]
    assert (terms["character_budget"], terms["outside_boundary"]) == (1_000, True)


def test_every_axis_can_be_narrowed_and_the_others_stay(studio: Studio) -> None:
    before = agreed(studio)
    path = f"/v1/consents/{before['consent_id']}/narrow"
    expected = dict(before["terms"])
    until = before["terms"]["valid_until"] - 1
    for axis, remains in [*NARROWER.items(), ("valid_until", until), ("inside_boundary", True)]:
        answer = studio.house.post(path, {axis: remains}, key=studio.keys["admin"])
        assert answer.status_code == 200, answer.text
        expected |= {"outside_boundary": False} if axis == "inside_boundary" else {axis: remains}
        assert answer.json()["consent"]["terms"] == expected


@pytest.mark.parametrize(
    ("wider", "code"),
    [
        ({"purposes": ["training"]}, "purpose_not_consented"),
        ({"languages": ["fr"]}, "language_not_consented"),
        ({"territories": ["FR"]}, "territory_not_consented"),
        ({"channels": ["television"]}, "channel_not_consented"),
        ({"character_budget": 2_000}, "budget_invalid"),
        ({"purposes": []}, "request_invalid"),
        ({"outside_boundary": True}, "request_invalid"),
        ({}, "invalid_input"),
    ],
)
def test_none_can_be_widened(studio: Studio, wider: dict[str, Any], code: str) -> None:
    path = f"/v1/consents/{agreed(studio)['consent_id']}/narrow"
    assert code_of(studio.house.post(path, wider, key=studio.keys["admin"])) == code

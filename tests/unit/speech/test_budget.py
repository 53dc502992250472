"""Frame budgets: above what any reader takes, far below minutes of noise, and replaceable by measured rates."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from speech.budget import FRAMES_PER_SECOND, Budget, expected_seconds, frame_budget
from speech.config import EngineConfig
from speech.languages import CODES
from speech.text import prepare
from tests.unit.speech.test_segments import SENTENCES


@pytest.mark.parametrize("language", CODES)
def test_a_slow_reader_fits_and_a_runaway_does_not(language: str) -> None:
    text = SENTENCES[language] * 10
    expected = expected_seconds(text, language)
    seconds = frame_budget(text, language) / FRAMES_PER_SECOND
    assert 2.5 * expected < seconds < 4 * expected + 5


def test_every_text_gets_time_and_more_text_gets_more() -> None:
    assert frame_budget(".", "en") >= 2 * FRAMES_PER_SECOND
    assert frame_budget("Hello there.", "en") < frame_budget("Hello there, all of you.", "en")


def test_what_is_spelled_out_gets_the_time_it_takes() -> None:
    assert expected_seconds("HTTPS", "en") > expected_seconds("https", "en")
    assert expected_seconds("97", "fr") > 0.5
    assert expected_seconds("東京", "ja") > expected_seconds("とう", "ja")


def test_pauses_are_not_the_models_to_make() -> None:
    assert frame_budget("One [pause 9000ms] two", "en") == frame_budget("One two", "en")


def test_measured_rates_replace_published_ones() -> None:
    config = EngineConfig.model_validate(
        {"name": "embedded", "budget": {"seconds_per_syllable": {"en": 0.5}}}
    )
    text = prepare("A sentence of usual length.", "en").text
    assert frame_budget(text, "en", config.budget.budget()) > frame_budget(text, "en")
    assert frame_budget(text, "de", config.budget.budget()) == frame_budget(text, "de")
    assert frame_budget(text, "en", Budget(headroom=1.0)) < frame_budget(text, "en")


@pytest.mark.parametrize("rates", [{"xx": 0.2}, {"en": 0.0}, {"en": 9.0}, {"en": "fast"}])
def test_rates_that_cannot_be_are_refused(rates: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EngineConfig.model_validate({"name": "embedded", "budget": {"seconds_per_syllable": rates}})

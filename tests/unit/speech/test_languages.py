"""Names of the ten languages."""

from __future__ import annotations

import pytest

from speech.errors import TextError
from speech.languages import CODES, LANGUAGES, language_code


def test_there_are_ten_and_each_is_known_by_code_and_name() -> None:
    assert len(CODES) == 10
    for code, language in LANGUAGES.items():
        assert language_code(code) == code
        assert language_code(language.name) == code
        assert language_code(language.name.upper()) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("en-US", "en"),
        ("EN_gb", "en"),
        ("zh-CN", "zh"),
        ("zh-Hans-CN", "zh"),
        ("es-419", "es"),
        (" fr ", "fr"),
    ],
)
def test_a_regional_tag_means_its_language(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    "name", ["", "sv", "sv-SE", "zh-yue", "english please", "e", "en-", "en-USA-x", "fr-fr-fr", "Auto"]
)
def test_any_other_is_refused_and_the_ten_are_named(name: str) -> None:
    with pytest.raises(TextError) as raised:
        language_code(name)
    assert raised.value.code == "language_unsupported"
    for language in LANGUAGES.values():
        assert language.name in raised.value.message


def test_french_is_fr_in_espeak() -> None:
    assert LANGUAGES["fr"].espeak_voice == "fr"

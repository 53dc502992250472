"""The ten languages of the product."""

from __future__ import annotations

from typing import Final

from consent_service.errors import InvalidInput

LANGUAGES: Final = ("zh", "en", "ja", "ko", "de", "fr", "ru", "pt", "es", "it")  # ISO 639-1


def require_language(code: str) -> str:
    """The code itself. Raises InvalidInput (language_unsupported)."""
    if code not in LANGUAGES:
        raise InvalidInput(f"language must be one of {', '.join(LANGUAGES)}", code="language_unsupported")
    return code

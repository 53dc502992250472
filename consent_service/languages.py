"""The ten languages of the product, and what a person reads aloud to consent in each.

The wording follows the common practice of the field (a statement, by the person, of who may do what), and
ends in six random digits, so that an old recording of the same person can't answer a new challenge.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consent_service.errors import InvalidInput

LANGUAGES: Final = ("zh", "en", "ja", "ko", "de", "fr", "ru", "pt", "es", "it")  # ISO 639-1

_STATEMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "zh": "我是{subject}。我知道{grantee}将用我的录音制作我声音的合成版本,用途是{purpose}。"
        "我的数字是{code}。",
        "en": "I am {subject}. I know that {grantee} will use recordings of my voice to make a "
        "synthetic version of it, for {purpose}. My number is {code}.",
        "ja": "私は{subject}です。{grantee}が私の声の録音から合成音声を作り、{purpose}"
        "に使うことを承知しています。番号は{code}です。",
        "ko": "저는 {subject}입니다. {grantee}이(가) 제 목소리 녹음으로 합성 음성을 만들어 {purpose}에 "
        "쓰는 것을 알고 있습니다. 번호는 {code}입니다.",
        "de": "Ich bin {subject}. Ich weiß, dass {grantee} aus Aufnahmen meiner Stimme eine künstliche "
        "Fassung herstellt, für {purpose}. Meine Nummer ist {code}.",
        "fr": "Je suis {subject}. Je sais que {grantee} utilisera des enregistrements de ma voix pour "
        "en créer une version synthétique, pour {purpose}. Mon numéro est {code}.",
        "ru": "Я {subject}. Я знаю, что {grantee} создаст из записей моего голоса его синтетическую "
        "версию для {purpose}. Мой номер {code}.",
        "pt": "Eu sou {subject}. Sei que {grantee} usará gravações da minha voz para criar uma versão "
        "sintética dela, para {purpose}. O meu número é {code}.",
        "es": "Soy {subject}. Sé que {grantee} usará grabaciones de mi voz para crear una versión "
        "sintética de ella, para {purpose}. Mi número es {code}.",
        "it": "Sono {subject}. So che {grantee} userà registrazioni della mia voce per crearne una "
        "versione sintetica, per {purpose}. Il mio numero è {code}.",
    }
)


def require_language(code: str) -> str:
    """The code itself. Raises InvalidInput (language_unsupported)."""
    if code not in LANGUAGES:
        raise InvalidInput(f"language must be one of {', '.join(LANGUAGES)}", code="language_unsupported")
    return code


def challenge_sentence(language: str, *, subject: str, grantee: str, purpose: str) -> str:
    """The statement to read, with fresh digits."""
    code = " ".join(str(secrets.randbelow(10)) for _ in range(6))
    spoken = purpose.replace(".", " ").replace("_", " ")
    return _STATEMENT[language].format(subject=subject, grantee=grantee, purpose=spoken, code=code)

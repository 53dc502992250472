"""The statement that a person reads: who they are, who may do what with their voice, and today's words.

The wording follows the common practice of the field. It is put together from what the ledger keeps (nonce, grantee,
purpose, name) and is stored nowhere: it holds a person's name, which lies in one erasable table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consent_service.examination.challenge.purposes import said

WORDING: Final = 2  # goes into the evidence; grows when a sentence changes

STATEMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "zh": "我是{subject}。我知道{grantee}将用我的录音制作我声音的合成版本,用于{purpose}。我今天的词语是:{words}。",
        "en": "I am {subject}. I know that {grantee} will use recordings of my voice to make a synthetic version of "
        "it, for {purpose}. My words are: {words}.",
        "ja": "私は{subject}です。{grantee}が私の声の録音から合成音声を作り、{purpose}に使うことを承知しています。"
        "今日の言葉は、{words}です。",
        "ko": "저는 {subject}입니다. {grantee}에서 제 목소리 녹음으로 합성 음성을 만들어 {purpose}에 쓰는 것을 알고 "
        "있습니다. 오늘의 단어는 {words}입니다.",
        "de": "Ich bin {subject}. Ich weiß, dass {grantee} aus Aufnahmen meiner Stimme eine künstliche Fassung "
        "herstellt, für {purpose}. Meine Wörter sind: {words}.",
        "fr": "Je suis {subject}. Je sais que {grantee} utilisera des enregistrements de ma voix pour en créer une "
        "version synthétique, pour {purpose}. Mes mots sont : {words}.",
        "ru": "Я {subject}. Я знаю, что {grantee} создаст из записей моего голоса его синтетическую версию для "
        "{purpose}. Мои слова: {words}.",
        "pt": "Eu sou {subject}. Sei que {grantee} usará gravações da minha voz para criar uma versão sintética "
        "dela, para {purpose}. As minhas palavras são: {words}.",
        "es": "Soy {subject}. Sé que {grantee} usará grabaciones de mi voz para crear una versión sintética de ella, "
        "para {purpose}. Mis palabras son: {words}.",
        "it": "Sono {subject}. So che {grantee} userà registrazioni della mia voce per crearne una versione "
        "sintetica, per {purpose}. Le mie parole sono: {words}.",
    }
)
_BETWEEN: Final = {"zh": "、", "ja": "、"}


def sentence(language: str, *, subject: str, grantee: str, purpose: str, nonce: str) -> str:
    """The whole statement. nonce: words with a space between them, as `words.draw` gives them."""
    words = _BETWEEN.get(language, ", ").join(nonce.split())
    spoken = said(language, purpose)
    return STATEMENT[language].format(subject=subject, grantee=grantee, purpose=spoken, words=words)

"""The purposes as a person says them: what a challenge names must be understood by whoever reads it aloud.

A purpose without words of its own is said in those of the purpose above it, with its own term behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_TERMS: Final = (
    "accessibility", "advertising", "assistant", "assistant.customer_service", "character", "character.game",
    "dubbing", "narration", "narration.audiobook", "narration.documentary", "narration.elearning",
    "narration.news", "research", "training", "training.internal",
)  # fmt: skip
_SAID: Final = {
    "zh": "无障碍服务|广告|语音助手|语音客服|角色配音|游戏角色配音|影视配音|朗读|有声书朗读|纪录片旁白|在线课程旁白|"
    "新闻朗读|研究|培训|内部培训",
    "en": "accessibility|advertising|a voice assistant|customer service|a character|a character in a game|dubbing|"
    "narration|audiobook narration|documentary narration|narration of online courses|news narration|research|"
    "training courses|internal training courses",
    "ja": "バリアフリー支援|広告|音声アシスタント|顧客対応|キャラクターの声|ゲームのキャラクターの声|吹き替え|"
    "朗読|オーディオブックの朗読|ドキュメンタリーのナレーション|オンライン教材の朗読|"
    "ニュースの朗読|研究|研修|社内研修",
    "ko": "접근성 지원|광고|음성 비서|고객 상담|캐릭터 목소리|게임 캐릭터 목소리|더빙|낭독|오디오북 낭독|"
    "다큐멘터리 해설|온라인 강의 낭독|뉴스 낭독|연구|교육|사내 교육",
    "de": "Barrierefreiheit|Werbung|einen Sprachassistenten|den Kundendienst|eine Figur|eine Figur in einem Spiel|"
    "Synchronisation|Sprechertexte|Hörbücher|Dokumentationen|Lernkurse|Nachrichten|Forschung|Schulungen|"
    "interne Schulungen",
    "fr": "l'accessibilité|la publicité|un assistant vocal|le service client|un personnage|un personnage de jeu|"
    "le doublage|la narration|des livres audio|des documentaires|des cours en ligne|les informations|la recherche|"
    "la formation|la formation interne",
    "ru": "помощи людям с инвалидностью|рекламы|голосового помощника|службы поддержки|персонажа|персонажа игры|"
    "дубляжа|чтения текстов|аудиокниг|документальных фильмов|онлайн-курсов|новостей|исследований|обучения|"
    "внутреннего обучения",
    "pt": "acessibilidade|publicidade|um assistente de voz|atendimento ao cliente|uma personagem|uma personagem de "
    "jogo|dobragem|narração|audiolivros|documentários|cursos em linha|notícias|investigação|formação|formação interna",
    "es": "accesibilidad|publicidad|un asistente de voz|atención al cliente|un personaje|un personaje de juego|"
    "doblaje|narración|audiolibros|documentales|cursos en línea|noticias|investigación|formación|formación interna",
    "it": "l'accessibilità|la pubblicità|un assistente vocale|il servizio clienti|un personaggio|un personaggio di "
    "gioco|il doppiaggio|la narrazione|audiolibri|documentari|corsi in rete|notiziari|la ricerca|la formazione|"
    "la formazione interna",
}
SAID: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        language: MappingProxyType(dict(zip(_TERMS, said.split("|"), strict=True)))
        for language, said in _SAID.items()
    }
)


def said(language: str, purpose: str) -> str:
    """How the purpose is spoken of in the language."""
    known = SAID[language]
    if purpose in known:
        return known[purpose]
    above, _, own = purpose.rpartition(".")
    term = own.replace("_", " ")
    return f"{said(language, above)}, {term}" if above else term

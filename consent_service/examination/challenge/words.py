"""Words for a challenge: in each language 64 that everybody knows, that sound unlike each other and read easily.

Four of them, drawn at random, say "today, for this": an old recording of the same person holds others. They carry
24 bits, which is far more than the tries that a challenge's ten minutes and a reviewer's ears allow.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CHALLENGE_WORDS: Final = 4

_LISTS: Final = {
    "zh": "河流 蜡烛 橙子 花园 窗户 银行 高山 胡椒 梯子 老虎 纽扣 冬天 枕头 医生 海岛 地毯 飞机 火车 玫瑰 吉他 "
    "锤子 外套 厨房 柠檬 镜子 钥匙 海洋 白纸 兔子 马车 番茄 雨伞 山谷 黄色 斑马 气球 咖啡 晚饭 大象 手指 "
    "巨人 蜂蜜 昆虫 森林 袋鼠 图书 市场 毛巾 洋葱 铅笔 问题 火箭 白糖 乌龟 叔叔 村庄 口哨 黄油 城堡 钻石 "
    "父亲 月亮 星期 学校",
    "en": "river candle monday orange garden window silver mountain pepper ladder tiger button winter pillow doctor "
    "island carpet dragon engine flower guitar hammer jacket kitchen lemon mirror needle ocean paper rabbit saddle "
    "tomato umbrella valley wagon yellow zebra balloon coffee dinner elephant finger giant honey insect jungle "
    "kangaroo library market napkin onion pencil question rocket sugar turtle uncle village whistle butter castle "
    "diamond eleven father",
    "ja": "りんご みかん さくら ともだち でんしゃ ひこうき うさぎ きつね たまご にわとり やま かわ うみ そら ほし "
    "つくえ まど とけい えんぴつ かばん くつ ぼうし めがね かさ てがみ しんぶん がっこう びょういん ゆうびん "
    "はなび まつり おんがく ピアノ ギター さとう しお みそ とうふ ごはん パン コーヒー おちゃ レモン トマト "
    "すいか いちご ぶどう きのこ さかな くじら かめ かえる とんぼ ちょうちょ ゾウ キリン ライオン パンダ "
    "ロケット ふうせん たいこ にじ ゆき はしご",
    "ko": "사과 바다 하늘 나무 구름 기차 학교 병원 시장 공원 토끼 호랑이 거북이 나비 고래 사자 코끼리 기린 다람쥐 "
    "원숭이 우산 모자 안경 시계 가방 신발 장갑 단추 바늘 거울 창문 의자 책상 연필 종이 편지 신문 노래 피아노 "
    "기타 설탕 소금 후추 커피 우유 치즈 레몬 포도 딸기 수박 감자 양파 토마토 버섯 국수 만두 월요일 겨울 무지개 "
    "풍선 로켓 망치 촛불 바람",
    "de": "Apfel Brücke Kerze Montag Garten Fenster Silber Pfeffer Leiter Tiger Knopf Winter Kissen Insel Teppich "
    "Drache Motor Blume Gitarre Hammer Jacke Küche Zitrone Spiegel Nadel Ozean Papier Kaninchen Sattel Tomate "
    "Regenschirm Wagen gelb Zebra Ballon Kaffee Elefant Finger Riese Honig Käfer Dschungel Känguru Bücherei Markt "
    "Zwiebel Bleistift Frage Rakete Zucker Onkel Dorf Pfeife Butter Schloss Diamant Vater Eule Schule Wolke "
    "Löffel Trompete Nuss Hafen",
    "fr": "rivière bougie lundi orange jardin fenêtre argent montagne poivre échelle tigre bouton hiver oreiller "
    "docteur île tapis dragon moteur fleur guitare marteau veste cuisine citron miroir aiguille océan papier lapin "
    "selle tomate parapluie vallée wagon jaune zèbre ballon café dîner éléphant doigt géant miel insecte jungle "
    "kangourou livre marché serviette oignon crayon question fusée sucre tortue oncle village sifflet beurre "
    "château diamant hibou nuage",
    "ru": "река свеча яблоко сад окно серебро гора перец лестница тигр кнопка зима подушка доктор остров ковёр дракон "
    "мотор цветок гитара молоток куртка кухня лимон зеркало игла океан бумага кролик седло помидор зонтик долина "
    "вагон жёлтый зебра шарик кофе обед слон палец великан мёд жук джунгли кенгуру книга рынок салфетка лук "
    "карандаш вопрос ракета сахар черепаха дядя деревня свисток масло замок алмаз отец сова облако",
    "pt": "rio vela laranja jardim janela prata montanha pimenta escada tigre botão inverno almofada médico ilha "
    "tapete dragão motor flor guitarra martelo casaco cozinha limão espelho agulha oceano papel coelho sela tomate "
    "chapéu vale vagão amarelo zebra balão café jantar elefante dedo gigante mel inseto selva canguru livro mercado "
    "toalha cebola lápis pergunta foguete açúcar tartaruga tio aldeia apito manteiga castelo diamante pai coruja nuvem",
    "es": "río vela lunes naranja jardín ventana plata montaña pimienta escalera tigre botón invierno almohada médico "
    "isla alfombra dragón motor flor guitarra martillo chaqueta cocina limón espejo aguja océano papel conejo silla "
    "tomate paraguas valle vagón amarillo cebra globo café cena elefante dedo gigante miel insecto selva canguro "
    "libro mercado toalla cebolla lápiz pregunta cohete azúcar tortuga tío aldea silbato mantequilla castillo "
    "diamante búho nube",
    "it": "fiume candela lunedì arancia giardino finestra argento montagna pepe scala tigre bottone inverno cuscino "
    "medico isola tappeto drago motore fiore chitarra martello giacca cucina limone specchio ago oceano carta "
    "coniglio sella pomodoro ombrello valle vagone giallo zebra palloncino caffè cena elefante dito gigante miele "
    "insetto giungla canguro libro mercato salvietta cipolla matita domanda razzo zucchero tartaruga zio villaggio "
    "fischio burro castello diamante gufo nuvola",
}
WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {language: tuple(words.split()) for language, words in _LISTS.items()}
)


def draw(language: str) -> str:
    """A fresh nonce: different words of the language, with a space between them."""
    return " ".join(secrets.SystemRandom().sample(WORDS[language], CHALLENGE_WORDS))

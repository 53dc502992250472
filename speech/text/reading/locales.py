"""What `european` needs to know of each language: signs, words and the contexts that settle a doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted. one: after 1. many: otherwise. few: Russian after 2, 3, 4 and decimals."""

    one: str
    many: str
    few: str = ""
    gender: str = "m"


@dataclass(frozen=True, slots=True)
class Locale:
    """thousands: the separator of groups, as a pattern. comma: how the decimal sign is said.

    references: words behind which a number is a name ("Kapitel 21") and agrees with nothing.
    before_year: words behind which four digits are a year. before_clock: before "10:30".
    governing: Russian words that put what follows in another case than the one we give it.
    """

    language: str
    thousands: str
    comma: str
    minus: str
    nouns: Mapping[str, Noun]
    months: tuple[str, ...]
    joint: str = " "  # between day and month, month and year
    first: str = ""  # the first of a month
    hundredths: str = " "  # between money and its hundredths
    references: str = "(?!)"
    before_year: str = "(?!)"
    before_clock: str = "(?!)"
    clock_joint: str = " "
    governing: str = "(?!)"
    ordinals: Mapping[str, str] = field(default_factory=dict)  # sign → ending of the ordinal, from "o"


_DE: Final = Locale(
    language="de",
    thousands=r"\.",
    comma="Komma",
    minus="minus",
    nouns={
        "%": Noun("Prozent", "Prozent"), "€": Noun("Euro", "Euro"), "$": Noun("Dollar", "Dollar"),
        "£": Noun("Pfund", "Pfund"), "km/h": Noun("Kilometer pro Stunde", "Kilometer pro Stunde"),
        "km": Noun("Kilometer", "Kilometer"), "cm": Noun("Zentimeter", "Zentimeter"),
        "mm": Noun("Millimeter", "Millimeter"), "kg": Noun("Kilogramm", "Kilogramm"),
        "°C": Noun("Grad Celsius", "Grad Celsius"),
    },
    months=(
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
        "November", "Dezember",
    ),
    references="Kapitel|Seite|Zimmer|Raum|Band|Absatz|Nummer|Artikel|Platz|Linie|Folge",
    before_year="Jahr|Jahre|Jahres|seit|anno|Sommer|Winter|Frühjahr|Herbst",
)  # fmt: skip

_FR: Final = Locale(
    language="fr",
    thousands="[ .]",
    comma="virgule",
    minus="moins",
    nouns={
        "%": Noun("pour cent", "pour cent"), "€": Noun("euro", "euros"), "$": Noun("dollar", "dollars"),
        "£": Noun("livre", "livres", gender="f"), "km/h": Noun("kilomètre heure", "kilomètres heure"),
        "km": Noun("kilomètre", "kilomètres"), "cm": Noun("centimètre", "centimètres"),
        "mm": Noun("millimètre", "millimètres"), "kg": Noun("kilogramme", "kilogrammes"),
        "°C": Noun("degré Celsius", "degrés Celsius"),
    },
    months=(
        "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
        "novembre", "décembre",
    ),
    first="premier",
    references="chapitre|page|tome|numéro|article|salle|chambre|ligne|épisode",
    before_year="en|année|depuis|janvier|mars|mai|juin|juillet|août",
)  # fmt: skip

_ES: Final = Locale(
    language="es",
    thousands=r"\.",
    comma="coma",
    minus="menos",
    nouns={
        "%": Noun("por ciento", "por ciento"), "€": Noun("euro", "euros"), "$": Noun("dólar", "dólares"),
        "£": Noun("libra", "libras", gender="f"), "km/h": Noun("kilómetro por hora", "kilómetros por hora"),
        "km": Noun("kilómetro", "kilómetros"), "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"), "kg": Noun("kilo", "kilos"),
        "°C": Noun("grado Celsius", "grados Celsius"),
    },
    months=(
        "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
        "noviembre", "diciembre",
    ),
    joint=" de ",
    first="primero",
    hundredths=" con ",
    references="capítulo|página|tomo|número|artículo|sala|habitación|línea|episodio",
    before_year="año|desde|hasta|En",
    before_clock="las",
    ordinals={"º": "o", "ª": "a"},
)  # fmt: skip

_IT: Final = Locale(
    language="it",
    thousands=r"\.",
    comma="virgola",
    minus="meno",
    nouns={
        "%": Noun("per cento", "per cento"), "€": Noun("euro", "euro"), "$": Noun("dollaro", "dollari"),
        "£": Noun("sterlina", "sterline", gender="f"), "km/h": Noun("chilometro orario", "chilometri orari"),
        "km": Noun("chilometro", "chilometri"), "cm": Noun("centimetro", "centimetri"),
        "mm": Noun("millimetro", "millimetri"), "kg": Noun("chilo", "chili"),
        "°C": Noun("grado Celsius", "gradi Celsius"),
    },
    months=(
        "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre",
        "ottobre", "novembre", "dicembre",
    ),
    first="primo",
    hundredths=" e ",
    references="capitolo|pagina|volume|numero|articolo|sala|stanza|camera|linea|episodio",
    before_year="nel|del|dal|anno",
    before_clock="alle|dalle|le|ore",
    clock_joint=" e ",
    ordinals={"º": "o", "°": "o", "ª": "a"},
)  # fmt: skip

_PT: Final = Locale(
    language="pt",
    thousands=r"\.",
    comma="vírgula",
    minus="menos",
    # No kilometres: quilómetro in Lisbon, quilômetro in Brasília.
    nouns={
        "%": Noun("por cento", "por cento"), "€": Noun("euro", "euros"), "R$": Noun("real", "reais"),
        "$": Noun("dólar", "dólares"), "£": Noun("libra", "libras", gender="f"),
        "kg": Noun("quilo", "quilos"), "°C": Noun("grau Celsius", "graus Celsius"),
    },
    months=(
        "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro",
        "novembro", "dezembro",
    ),
    joint=" de ",
    first="primeiro",
    hundredths=" e ",
    references="capítulo|página|volume|número|artigo|sala|quarto|linha|episódio",
    before_year="ano|desde|até|Em",
    before_clock="às|das",
    clock_joint=" e ",
    ordinals={"º": "o", "ª": "a"},
)  # fmt: skip

_RU: Final = Locale(
    language="ru",
    thousands=" ",
    comma="",
    minus="минус",
    nouns={
        "%": Noun("процент", "процентов", "процента"), "₽": Noun("рубль", "рублей", "рубля"),
        "руб.": Noun("рубль", "рублей", "рубля"), "$": Noun("доллар", "долларов", "доллара"),
        "€": Noun("евро", "евро", "евро"), "км/ч": Noun("километр в час", "километров в час", "километра в час"),
        "км": Noun("километр", "километров", "километра"), "см": Noun("сантиметр", "сантиметров", "сантиметра"),
        "мм": Noun("миллиметр", "миллиметров", "миллиметра"), "кг": Noun("килограмм", "килограммов", "килограмма"),
        "°C": Noun("градус Цельсия", "градусов Цельсия", "градуса Цельсия"),
    },
    months=(),
    references="глава|страница|том|номер|пункт|раздел|часть|комната|кабинет|урок|серия",
    governing=(
        "в|во|на|за|от|до|с|со|к|ко|о|об|из|по|без|для|около|при|над|под|перед|между|у|после|кроме|ради|"
        "более|менее|больше|меньше|свыше|порядка|порядком|почти|всего|лишь|течение|размере"
    ),
)  # fmt: skip

LOCALES: Final = {locale.language: locale for locale in (_DE, _FR, _ES, _IT, _PT, _RU)}

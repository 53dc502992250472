"""The demonstration's narration script: 200 rows of public-domain prose, and what must become of each."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from synthesis.voice import Preset

ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Cast:
    """Who speaks: two people's voices, a designed one, and preset speakers."""

    first: str  # consents to narration and accessibility, in en de fr es it
    second: str  # consents to accessibility alone, in en pt ru
    designed: str
    presets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the code it must end with; "" means a clip."""

    id: str
    text: str
    language: str
    voice: str
    purpose: str
    expect: str


# Rows that must not speak, and why.
_REFUSALS: Final = (
    ("advertising", "en", "first", "purpose_not_consented"),
    ("narration", "ja", "first", "language_not_consented"),
    ("narration", "en", "second", "purpose_not_consented"),
    ("accessibility", "fr", "second", "language_not_consented"),
    ("narration", "en", "unknown", "voice_unknown"),
    ("gossip", "en", "preset", "purpose_unknown"),
)
_BROKEN: Final = (
    ("", "en", "text_empty"),
    ("…", "en", "text_empty"),
    ("Ring the bell\x07 twice.", "en", "text_control_characters"),
    ("word " * 1_000, "en", "text_too_long"),
    ("nuqneH", "tlh", "language_unsupported"),
)


def rows(cast: Cast) -> list[Row]:
    """Exactly `ROWS` rows; the same every time."""
    lines = (files("vouch.demo") / "data" / "prose.jsonl").read_text(encoding="utf-8").splitlines()
    prose = [json.loads(line) for line in lines]
    made: list[Row] = []

    def add(text: str, language: str, voice: str, purpose: str, expect: str = "") -> None:
        made.append(Row(f"row-{len(made):04d}", text, language, voice, purpose, expect))

    for text, language, code in _BROKEN:
        add(text, language, str(Preset(cast.presets[0])), "narration", code)
    voices = {"first": cast.first, "second": cast.second, "unknown": "voice_" + "0" * 32,
              "preset": str(Preset(cast.presets[0]))}  # fmt: skip
    for purpose, language, voice, code in _REFUSALS:
        for piece in [p for p in prose if p["language"] == language][:3]:
            add(piece["text"], language, voices[voice], purpose, code)
    turn = 0
    while len(made) < ROWS:
        piece = prose[turn % len(prose)]
        language, round_ = piece["language"], turn // len(prose)
        if round_ % 2 == 0 and language in ("en", "de", "fr", "es", "it"):
            voice, purpose = cast.first, "narration" if round_ % 4 == 0 else "accessibility"
        elif round_ % 2 == 1 and language in ("en", "pt", "ru"):
            voice, purpose = cast.second, "accessibility"
        elif turn % 3 == 0:
            voice, purpose = cast.designed, "narration"
        else:
            voice, purpose = str(Preset(cast.presets[turn % len(cast.presets)])), "narration"
        add(piece["text"], language, voice, purpose)
        turn += 1
    return made


def write(script: list[Row], path: Path) -> None:
    """As Parquet, in the schema of `vouch narrate`."""
    columns = {
        name: [getattr(row, name) for row in script]
        for name in ("id", "text", "language", "voice", "purpose")
    }
    pq.write_table(pa.table(columns), path)


def mismatches(script: list[Row], output: Path, *, revoked: frozenset[str] = frozenset()) -> list[str]:
    """Rows whose result is not the promised one. `revoked`: voices whose rows must be refused by now."""
    results = pq.read_table(sorted(str(part) for part in output.glob("part-*.parquet"))).to_pylist()
    counted = Counter(row["id"] for row in results)
    wrong = [f"{row.id}: {counted[row.id]} results" for row in script if counted[row.id] != 1]
    by_id = {row["id"]: row for row in results}
    for row in script:
        got = by_id.get(row.id, {})
        expect = "consent_revoked" if row.voice in revoked else row.expect
        code = got.get("code") or ""
        if code != expect or (got.get("status") == "ok") != (expect == ""):
            wrong.append(f"{row.id}: {got.get('status')} {code or '-'}, promised {expect or 'ok'}")
    if len(results) != len(script):
        wrong.append(f"{len(results)} rows out for {len(script)} in")
    return wrong

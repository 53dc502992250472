"""`vouch narrate` as typed: from a CSV to clips, and again without speaking anything twice."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.watched import watched
from tests.unit.vouch.conftest import Vouch

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

ROWS = """id,text,language,voice
a,The lamp was lit at nine.,en,preset:Vivian
b,Um neun Uhr brannte die Lampe.,de,preset:Ryan
c,ランプが灯った。,ja,preset:Sohee
d,…,en,preset:Vivian
e,Nobody says this.,en,voice_00000000000000000000000000000000
f,The lamp was lit at nine.,tlh,preset:Vivian
"""


def test_a_table_becomes_clips_and_a_second_run_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text(ROWS, encoding="utf-8")
    vouch = Vouch(tmp_path)
    vouch.json("scripts", "prepare", tmp_path / "book.csv", tmp_path / "book.parquet")
    narrate = ("narrate", "book.parquet", "out", "--purpose", "narration")
    with watched(*narrate, "--json", cwd=tmp_path) as run:
        code, output = run.finish(timeout_s=200)
        assert code == 0, run.error
        first = json.loads(output)
        assert run.remains() == []
    assert (first["rows_in"], first["ok"], first["refused"], first["error"], first["kept"]) == (6, 3, 3, 0, 0)
    assert first["codes"] == {"text_empty": 1, "voice_unknown": 1, "language_unsupported": 1}
    results = pq.read_table(
        sorted(str(part) for part in (tmp_path / "out").glob("part-*.parquet"))
    ).to_pylist()
    assert [row["id"] for row in results] == list("abcdef")
    clips = sorted((tmp_path / "out").rglob("*.wav"))
    assert len(clips) == 3
    for clip in clips:
        verdict = vouch.json("verify", clip)
        assert (verdict["origin"], verdict["integrity"], verdict["standing"]) == (
            "ours",
            "intact",
            "not required",
        )

    with watched(*narrate, cwd=tmp_path) as again:
        code, output = again.finish(timeout_s=200)
        assert code == 0, again.error
    assert "ok 3 (kept 3), refused 3, error 0" in output
    assert sorted((tmp_path / "out").rglob("*.wav")) == clips

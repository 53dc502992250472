"""People get a few lines and dates; programs get everything, as it is."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from consent_service import models
from tests.unit.vouch.conftest import Vouch
from vouch.output import MOMENTS, emit

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


def test_a_recorded_consent_is_three_lines_and_names_the_way_to_its_receipt(
    vouch: Vouch, tmp_path: Path
) -> None:
    voice_id = vouch.enrol()
    words = ("--purpose", "narration", "--language", "en", "--until", "2030-12-31")
    shown = vouch.run("consent", "record", voice_id, *words)
    assert shown.exit_code == 0, shown.stderr
    consent, token, receipt = shown.stdout.strip().splitlines()
    consent_id = consent.split()[1].removesuffix(",")
    assert re.search(rf"version 1: narration in en, until {DATE}$", consent)
    assert "shown once" in token
    assert receipt.endswith(f"vouch consent receipt {consent_id}")
    assert vouch.run(*receipt.split()[2:]).stdout.startswith("{")

    narrowed = vouch.run("consent", "narrow", consent_id, "--until", "2029-12-31")
    assert len(narrowed.stdout.strip().splitlines()) == 3
    assert "version 2" in narrowed.stdout

    vouch.json("audit", "export", tmp_path / "log")
    found = vouch.run("audit", "verify", tmp_path / "log").stdout
    assert re.search(rf"last_at  {DATE}", found)
    assert isinstance(vouch.json("audit", "verify", tmp_path / "log")["last_at"], float)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"as_of": 1_800_000_000.9}, "as_of  2027-01-15T08:00:00+00:00"),
        ({"terms": {"valid_from": 1_800_000_000}}, "terms.valid_from  2027-01-15T08:00:00+00:00"),
        ({"speaker": {"same_from": 0.75}}, "speaker.same_from  0.75"),  # a threshold, and no moment
        ([{"created_at": 1_800_000_000.0}], "2027-01-15T08:00:00+00:00"),
        ({"revoked_at": None}, "revoked_at  -"),
        ({"bindings": {}, "roles": ["job", "narrator"]}, "roles  job, narrator"),
        ([{"doubts": [{"code": "x"}]}], "code\nx"),
        ({"first_at": 0.0}, "first_at  0.0"),  # of an empty log
        ({"size": 1_800_000_000}, "size  1800000000"),
    ],
)
def test_moments_are_dates_for_people_and_numbers_for_programs(
    value: object, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(value, as_json=True)
    assert json.loads(capsys.readouterr().out) == value
    emit(value, as_json=False)
    assert shown in capsys.readouterr().out


def test_every_moment_of_the_models_is_printed_as_a_date() -> None:
    unnamed = {
        name
        for _, kind in inspect.getmembers(models, is_dataclass)
        if kind.__module__ == models.__name__
        for name in (f.name for f in fields(kind) if str(f.type).startswith("float"))
        if name not in MOMENTS | {"seconds"}
    }
    assert unnamed == set()


def test_an_id_is_never_cut_short_and_no_cell_is_a_dictionary(vouch: Vouch) -> None:
    voice_id = vouch.enrol("声の名前")
    consent_id = vouch.consent(voice_id)["consent"]["consent_id"]
    ends = "2031-05-01"
    assert vouch.json("voice", "keep", voice_id, "--until", ends)["retain_until"]
    key_id = vouch.json("key", "list")[0]["key_id"]
    for words, found in (
        (("voice", "list"), (voice_id, "声の名前", f"{ends}T00:00:00")),
        (("voice", "show", voice_id), (voice_id, f"{ends}T00:00:00")),
        (("consent", "list"), (consent_id, voice_id, "2031-01-01T00:00:00")),
        (("consent", "show", consent_id), (consent_id, "terms.purposes  narration", "2031-01-01T00:00:00")),
        (("key", "list"), (key_id, "operator, voice_admin")),
    ):
        shown = vouch.run(*words, env={"COLUMNS": "40"}).stdout
        assert all(text in shown for text in found), shown
        assert not re.search(r"[{}\[\]…]|1970", shown), shown

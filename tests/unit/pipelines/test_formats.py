"""A narration in another format: the same order of things, and every file of a clip is known and can be deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.rows import GrantedRow, RowResult
from pipelines.stages import Consent, Stamp
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder
from provenance.formats.catalogue import FORMATS, OPUS, WAV, Format
from provenance.formats.delivery import delivery
from provenance.labels.texts import texts
from provenance.profiles.profile import DEFAULT
from provenance.reading import read_manifest
from provenance.stamp import Stamper
from provenance.trust import TrustContext
from synthesis.disclosure import Deployment
from tests.assets.publisher import PURPOSE, Publisher
from tests.unit.pipelines.conftest import Stages, script_row


def store(stages: Stages, form: Format) -> OutputClips:
    return OutputClips(Folder(str(stages.publisher.folder / "out")), form)


def made(stages: Stages, form: Format) -> RowResult:
    stages.stamp = Stamp(
        stages.publisher.service, Stamper(stages.publisher.service.keys), store(stages, form), stages.engine.info,
        Deployment("Lantern", "0", DEFAULT), delivery=delivery(form.name),
    )  # fmt: skip
    return stages.finish(stages.ready(voice=stages.publisher.anna))


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_row_becomes_a_clip_of_the_format_with_every_file_registered(stages: Stages, form: Format) -> None:
    result = made(stages, form)
    assert (result.status, result.code) == ("ok", None)
    assert result.clip_uri is not None
    assert result.clip_id is not None
    data = Path(result.clip_uri).read_bytes()
    assert result.clip_uri.endswith(form.extension)
    assert hashlib.sha256(data).hexdigest() == result.audio_sha256
    sidecar = Path(f"{result.clip_uri}.c2pa")
    assert sidecar.exists() != form.embeds_manifest
    trust = TrustContext(stages.publisher.service.keys.trust_anchor())
    reading = read_manifest(data, trust, sidecar=None if form.embeds_manifest else sidecar.read_bytes())
    assert reading is not None
    assert (reading.state, reading.asset_matches) == ("Trusted", True)
    assert reading.disclosure is not None
    assert reading.disclosure.keyed_epoch is not None
    record = stages.publisher.service.clips.find_clip(stages.publisher.name, result.clip_id)
    assert record is not None
    assert len(record.objects) == len(stages.files())


def test_a_clip_without_its_manifest_is_not_there(stages: Stages) -> None:
    result, clips = made(stages, OPUS), store(stages, OPUS)
    assert clips.has(result.clip_uri)
    Path(f"{result.clip_uri}.c2pa").unlink()
    assert not clips.has(result.clip_uri)


def test_a_deleted_clip_takes_its_manifest_along_whatever_format_comes_after(stages: Stages) -> None:
    for form in (OPUS, WAV):
        result = made(stages, OPUS)
        assert len(stages.files()) == 2
        assert result.clip_uri is not None
        store(stages, form).delete_at(result.clip_uri)
        assert stages.files() == []


def test_clips_that_no_row_has_go_with_their_manifests(stages: Stages) -> None:
    kept, dropped = made(stages, OPUS), made(stages, OPUS)
    assert kept.clip_id is not None
    store(stages, WAV).keep_only(frozenset({kept.clip_id}))
    assert {name.partition(".")[0] for name in stages.files()} == {kept.clip_id} != {dropped.clip_id}
    assert len(stages.files()) == 2


def test_a_file_that_is_no_clip_is_never_deleted(stages: Stages) -> None:
    notes = stages.publisher.folder / "out" / "clips" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    store(stages, WAV).delete_at(str(notes))
    store(stages, WAV).keep_only(frozenset())
    assert notes.read_text() == "mine"


def test_another_format_or_loudness_makes_the_rows_anew(publisher: Publisher) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"format": "mp3"},
        {"sample_rate": 16_000},
        {"loudness": -16.0},
        {"spoken_disclaimer": True},
    ]
    assert len({publisher.narration([], **change).model_identity for change in changes}) == len(changes)


@pytest.mark.parametrize("change", [{"format": "avi"}, {"sample_rate": 44_100}, {"loudness": 0.0}])
def test_what_is_not_made_is_refused_before_a_row_is_spoken(
    publisher: Publisher, change: dict[str, object]
) -> None:
    with pytest.raises(ValidationError, match=r"no such format|is made at|loudness goes"):
        publisher.narration([], **change)


def test_a_disclaimer_is_granted_and_counted_with_the_row(stages: Stages) -> None:
    stage = Consent(
        stages.publisher.service, stages._principal, stages.clips, {},
        model="model", purpose=PURPOSE, max_characters=200, disclaimer=lambda language: texts(language).spoken,
    )  # fmt: skip
    (with_it,), (without,) = stage([script_row("a")]), stages.consent(script_row("a"))
    assert isinstance(with_it, GrantedRow)
    assert isinstance(without, GrantedRow)
    assert (
        with_it.checked.utterance.text
        == f"{texts('en').spoken} [pause 500ms] {without.checked.utterance.text}"
    )
    assert (with_it.result.characters or 0) > (without.result.characters or 0)

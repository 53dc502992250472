"""A row's digest changes with everything that decides what is said, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consent_service.config import ConsentConfig
from consent_service.errors import Unauthenticated
from foundation.private_files import KeyFileUnsafe
from pipelines.config import NarrateConfig
from pipelines.keyfile import read_key_file, write_key_file
from pipelines.rows import ScriptRow
from speech.config import EngineConfig

ROW = ScriptRow("1", "text", "en", "v", None, None, None)
texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)
seeds = st.none() | st.integers(-(2**63), 2**63 - 1)
NAMES = ("text", "language", "voice", "purpose", "instruct", "seed")


@given(st.sampled_from(NAMES), st.data())
def test_each_value_of_a_row_has_a_digest_of_its_own(name: str, data: st.DataObject) -> None:
    values = seeds if name == "seed" else texts
    one, other = (replace(ROW, **{name: data.draw(values)}) for _ in range(2))
    same = one.digest("m", one.purpose) == other.digest("m", other.purpose)
    assert same == (one == other)


def test_the_model_and_the_purpose_of_the_run_count_and_the_id_does_not() -> None:
    digest = ROW.digest("m", None)
    assert replace(ROW, id="2").digest("m", None) == digest
    assert ROW.digest("n", None) != digest
    assert ROW.digest("m", "narration") != digest
    assert replace(ROW, purpose="narration").digest("m", "narration") == ROW.digest("m", "narration")


def config(engine: EngineConfig) -> NarrateConfig:
    consent = ConsentConfig(data_dir=Path("data"))
    return NarrateConfig(input="i", output="o", consent=consent, engine=engine, api_key_file=Path("k"))


def test_another_model_speaks_again_and_another_device_does_not() -> None:
    base = config(EngineConfig(name="qwen", base="a")).model_identity
    assert config(EngineConfig(name="qwen", base="b")).model_identity != base
    assert config(EngineConfig(name="embedded")).model_identity != base
    assert config(EngineConfig(name="qwen", base="a", device="cuda")).model_identity == base


def test_another_lexicon_speaks_again_and_a_bad_one_is_no_configuration() -> None:
    plain = config(EngineConfig(name="embedded"))
    respelled = plain.model_copy(update={"lexicon": {"Nguyen": "Win"}})
    assert respelled.model_identity != plain.model_identity
    with pytest.raises(ValidationError) as raised:
        NarrateConfig(**{**dict(plain), "lexicon": {"Eleanor": "[pause 9s]"}})
    assert "Eleanor" not in str(raised.value)


def test_a_row_is_said_as_the_lexicon_has_it() -> None:
    said = replace(ROW, text="Hello Nguyen, 5 km").utterance(lexicon={"Nguyen": "Win"})
    assert said.text == "Hello Win, five kilometers"


def test_paths_mean_the_same_in_every_process() -> None:
    told = config(EngineConfig(name="embedded"))
    assert (told.input, told.api_key_file) == (str(Path.cwd() / "i"), Path.cwd() / "k")
    assert told.consent.data_dir == Path.cwd() / "data"
    assert told.model_copy(update={"input": "s3://b/i"}).input == "s3://b/i"


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = write_key_file(tmp_path / "keys" / "narrator.key", "vouch_x_y")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path) == "vouch_x_y"
    path.chmod(0o640)
    with pytest.raises(KeyFileUnsafe):
        read_key_file(path)
    with pytest.raises(Unauthenticated):
        read_key_file(tmp_path / "none.key")

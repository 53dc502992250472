"""`vouch verify` on files alone: a root certificate, a clip, and the manifest that lies beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provenance.formats.catalogue import OPUS
from provenance.formats.delivery import Delivery
from provenance.stamp import Stamper
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like
from vouch.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, authority = tmp_path_factory.mktemp("clips"), Authority.create()
    clip = Stamper(authority.signer).stamp(speech_like(1.0), RATE, a_disclosure(), Delivery(OPUS, RATE))
    assert clip.manifest is not None
    (made / "root.pem").write_bytes(authority.root_pem)
    (made / "clip.opus").write_bytes(clip.data)
    (made / "clip.c2pa").write_bytes(clip.manifest)
    return made


def verify(folder: Path, name: str, *more: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(
        app, ["verify", str(folder / name), "--anchor", str(folder / "root.pem"), "--json", *more]
    )
    return result.exit_code, json.loads(result.stdout or result.stderr)


def test_a_detached_manifest_speaks_for_its_file(folder: Path) -> None:
    code, told = verify(folder, "clip.opus", "--manifest", str(folder / "clip.c2pa"))
    assert (code, told["origin"], told["integrity"]) == (0, "ours", "intact")
    assert str(told["sentence"]).startswith("We made this clip; its bytes are the ones that were signed")


def test_and_for_no_other(folder: Path) -> None:
    (folder / "cut.opus").write_bytes((folder / "clip.opus").read_bytes()[:-50])
    code, told = verify(folder, "cut.opus", "--manifest", str(folder / "clip.c2pa"))
    assert (code, told["origin"], told["integrity"]) == (1, "our mark, unconfirmed", "altered")


def test_without_it_the_file_is_only_synthetic(folder: Path) -> None:
    code, told = verify(folder, "clip.opus")
    assert (code, told["origin"], told["integrity"]) == (0, "synthetic, not ours", "metadata stripped")


@pytest.mark.parametrize("name", ["missing.wav", "."], ids=["no such file", "a folder"])
def test_what_is_no_file_is_said_to_be_none(folder: Path, name: str) -> None:
    code, told = verify(folder, name)
    assert (code, told["error"]["code"]) == (1, "not_found")  # type: ignore[index]


def test_a_file_past_the_bound_is_read_no_further(folder: Path) -> None:
    with (folder / "huge.wav").open("wb") as file:
        file.truncate(1 << 40)
    code, told = verify(folder, "huge.wav")
    assert (code, told["error"]["code"]) == (1, "audio_too_large")  # type: ignore[index]

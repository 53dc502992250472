"""Decommission, sweep, export and verify offline, as typed: what a stranger needs is files, a key and no ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from consent_service.config import ConsentConfig
from consent_service.ledger.tables import voices
from consent_service.service import ConsentService
from tests.unit.vouch.conftest import Vouch

LINE = "The lamp was lit at nine."


@pytest.fixture
def elsewhere(vouch: Vouch, tmp_path_factory: pytest.TempPathFactory) -> Vouch:
    """A machine without our ledger."""
    return Vouch(tmp_path_factory.mktemp("elsewhere"))


def speak(vouch: Vouch, voice_id: str, name: str = "clip.wav") -> Path:
    clip = vouch.folder / name
    vouch.json("say", LINE, "-o", clip, "--voice", voice_id)
    return clip


def test_a_clip_is_verified_offline_as_of_the_export_and_again_after_the_end(
    vouch: Vouch, elsewhere: Vouch
) -> None:
    voice_id = vouch.enrol()
    vouch.consent(voice_id)
    clip = speak(vouch, voice_id)
    before, after, keys = (vouch.folder / name for name in ("before", "after", "keys"))
    vouch.json("audit", "export", "--bundle", before, "--keys", keys)
    gone = vouch.json("voice", "decommission", voice_id, "--reason", "done", "--yes")
    vouch.json("audit", "export", "--bundle", after)

    for bundle, standing in ((before, "live"), (after, "decommissioned")):
        told = elsewhere.json("verify", clip, "--offline", bundle, "--key", keys)
        assert (told["origin"], told["standing"], told["bundle"]["in_log"]) == ("ours", standing, True)
        assert "(as of " in told["sentence"]
        assert told["as_of"] == told["bundle"]["as_of"]
    human = elsewhere.run("verify", clip, "--offline", after)
    assert "give --key to know whose it is" in human.stdout
    assert not (elsewhere.folder / "data").exists()

    certificate = Path(gone["certificate"])
    assert certificate.stat().st_mode & 0o077 == 0
    found = elsewhere.json("audit", "verify", certificate, "--key", keys)
    assert (found["kind"], found["voice_id"]) == ("certificate of deletion", voice_id)
    changed = vouch.folder / "changed.json"
    changed.write_bytes(certificate.read_bytes().replace(b"wrapped", b"wraqped", 1))
    assert elsewhere.refusal("audit", "verify", changed, "--key", keys) == "proof_invalid"


def test_everything_that_is_exported_is_verified_by_the_same_command(vouch: Vouch, elsewhere: Vouch) -> None:
    consent = vouch.consent(vouch.enrol())
    folder = vouch.folder
    vouch.json(
        "audit", "export", folder / "log", "--bundle", folder / "bundle", "--standings", folder / "standings",
        "--keys", folder / "keys",
    )  # fmt: skip
    receipt = folder / "receipt"
    receipt.write_text(consent["receipt"])
    for name in ("log", "bundle", "standings", "receipt"):
        assert elsewhere.json("audit", "verify", folder / name, "--key", folder / "keys")
    assert elsewhere.refusal("audit", "verify", receipt) == "key_required"

    stranger = Vouch(elsewhere.folder / "stranger")
    stranger.folder.mkdir()
    stranger.json("audit", "export", "--keys", stranger.folder / "keys")
    for name in ("log", "bundle", "standings", "receipt"):
        assert (
            elsewhere.refusal("audit", "verify", folder / name, "--key", stranger.folder / "keys")
            == "proof_invalid"
        )
    (folder / "binary").write_bytes(b"\xff\xfe")
    assert (
        elsewhere.refusal("audit", "verify", folder / "binary", "--key", folder / "keys") == "proof_invalid"
    )
    assert elsewhere.refusal("audit", "verify", folder / "log", "--key", folder / "binary") == "proof_invalid"


def test_of_a_clip_that_is_younger_than_the_bundle_nothing_is_claimed(vouch: Vouch, elsewhere: Vouch) -> None:
    voice_id = vouch.enrol()
    vouch.consent(voice_id)
    vouch.json("audit", "export", "--bundle", vouch.folder / "old")
    told = elsewhere.json("verify", speak(vouch, voice_id), "--offline", vouch.folder / "old")
    assert (told["origin"], told["standing"], told["bundle"]["in_log"]) == ("ours", "unknown", False)


def test_an_export_without_a_place_is_wrong_use(vouch: Vouch) -> None:
    assert vouch.run("audit", "export").exit_code == 2
    assert vouch.run("voice", "decommission", "--yes").exit_code == 2


def time_passes(vouch: Vouch, voice_id: str) -> None:
    """The voice is kept until tomorrow, and it is the day after."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    vouch.json("voice", "keep", voice_id, "--until", tomorrow.isoformat())
    service = ConsentService.open(ConsentConfig(data_dir=vouch.folder / "data"))
    with service._core.ledger.write() as connection:
        connection.execute(update(voices).where(voices.c.voice_id == voice_id).values(retain_until=1.0))
    service.close()


def test_a_sweep_lists_first_and_ends_on_a_second_word(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    assert vouch.json("voice", "sweep") == []
    assert vouch.refusal("voice", "keep", voice_id, "--until", "2020-01-01") == "validity_invalid"
    time_passes(vouch, voice_id)
    assert [voice["voice_id"] for voice in vouch.json("voice", "sweep")] == [voice_id]
    assert vouch.json("voice", "show", voice_id)["state"] == "active"
    vouch.json("voice", "keep", voice_id)
    assert vouch.json("voice", "sweep") == []
    time_passes(vouch, voice_id)
    (gone,) = vouch.json("voice", "sweep", "--confirm")
    assert gone["state"] == "decommissioned"
    assert json.loads(Path(gone["certificate"]).read_text())["statement"]["account"]["voice_id"] == voice_id
    assert vouch.json("voice", "decommission", "--resume") == []


def test_recordings_that_no_voice_needs_are_listed_first_and_destroyed_on_a_second_word(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    assert vouch.json("voice", "sweep", "--recordings") == {"recordings": [], "destroyed": False}
    service = ConsentService.open(ConsentConfig(data_dir=vouch.folder / "data"))
    service._core.vault.create_key("local", "voice_of_nobody")
    service.close()
    for confirm in ((), ("--confirm",)):
        told = vouch.json("voice", "sweep", "--recordings", *confirm)
        assert told == {"recordings": ["voice_of_nobody"], "destroyed": bool(confirm)}
    assert vouch.json("voice", "sweep", "--recordings")["recordings"] == []
    assert vouch.json("voice", "show", voice_id)["state"] == "active"

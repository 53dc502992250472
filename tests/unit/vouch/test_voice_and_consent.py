"""Enrol, consent, speak, withdraw, verify and export, as typed."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from sqlalchemy import text

from consent_service.config import ConsentConfig
from consent_service.service import ConsentService
from speech.embedded.voices import SPEAKERS
from tests.assets.voiced import voiced
from tests.unit.vouch.conftest import Vouch
from vouch.commands.voice import _warn

LINE = "The lamp was lit at nine."


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Vouch:
    """One installation for tests that only add to it."""
    return Vouch(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def spoken(studio: Vouch) -> Path:
    """A clip of a preset speaker."""
    path = studio.folder / "preset.wav"
    said = studio.json("say", LINE, "-o", path)
    assert said["seconds"] > 0.5
    return path


def test_a_voice_speaks_under_its_consent_until_it_is_withdrawn(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    clip = vouch.folder / "clip.wav"
    speak = ("say", LINE, "-o", clip, "--voice", voice_id)
    assert vouch.refusal(*speak) == "consent_required"
    assert not clip.exists()

    recorded = vouch.consent(voice_id)
    consent_id = recorded["consent"]["consent_id"]
    vouch.json(*speak)
    assert soundfile.info(io.BytesIO(clip.read_bytes())).samplerate == 24_000
    verdict = vouch.json("verify", clip)
    assert (verdict["origin"], verdict["integrity"], verdict["standing"]) == ("ours", "intact", "live")

    vouch.json("consent", "revoke", consent_id, "--reason", "asked to stop")
    clip.unlink()
    assert vouch.refusal(*speak) == "consent_revoked"
    assert not clip.exists()


def test_a_clip_outlives_its_consent_but_its_verdict_says_so(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    consent_id = vouch.consent(voice_id)["consent"]["consent_id"]
    clip = vouch.folder / "clip.wav"
    vouch.json("say", LINE, "-o", clip, "--voice", voice_id)
    vouch.json("consent", "revoke", consent_id, "--reason", "asked to stop")
    verdict = vouch.json("verify", clip)
    assert (verdict["origin"], verdict["integrity"], verdict["standing"]) == (
        "ours",
        "intact",
        "withdrawn since",
    )
    assert "withdrawn" in vouch.run("verify", clip).stdout


def test_one_changed_byte_is_caught(studio: Vouch, spoken: Path) -> None:
    altered = studio.folder / "altered.wav"
    raw = bytearray(spoken.read_bytes())
    raw[len(raw) // 2] ^= 1
    altered.write_bytes(raw)
    result = studio.run("verify", altered, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["integrity"] == "altered"


def test_a_root_certificate_alone_shows_whose_clip_it_is(studio: Vouch, spoken: Path, tmp_path: Path) -> None:
    from consent_service.config import ConsentConfig
    from consent_service.service import ConsentService

    service = ConsentService.open(ConsentConfig(data_dir=studio.folder / "data"))
    anchor = tmp_path / "anchor.pem"
    anchor.write_bytes(service.keys.trust_anchor())
    service.close()
    verdict = Vouch(tmp_path).json("verify", spoken, "--anchor", anchor)
    assert (verdict["origin"], verdict["integrity"]) == ("ours", "intact")
    assert not (tmp_path / "data").exists(), "a stranger's look needs no ledger"


def test_the_same_request_gives_the_same_clip(studio: Vouch, spoken: Path, tmp_path: Path) -> None:
    again = studio.json("say", LINE, "-o", tmp_path / "again.wav")
    assert again["cached"]
    assert (tmp_path / "again.wav").read_bytes() == spoken.read_bytes()


def test_a_designed_voice_speaks_without_a_consent(studio: Vouch, tmp_path: Path) -> None:
    studio = replace(studio, examined=True)  # what is kept must carry our own manifest
    voice = studio.json("voice", "design", "--name", "House", "--instruct", "calm and low")
    assert (voice["kind"], voice["state"]) == ("designed", "active")
    clip = tmp_path / "designed.wav"
    studio.json("say", LINE, "-o", clip, "--voice", voice["voice_id"])
    assert studio.json("verify", clip)["standing"] == "not required"


def test_an_exported_log_verifies_until_it_is_changed(studio: Vouch, spoken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    studio.json("audit", "export", folder)
    assert Vouch(tmp_path).json("audit", "verify", folder)
    assert not (tmp_path / "data").exists(), "an export is verified with its own files"
    entries = folder / "entries.jsonl"
    raw = bytearray(entries.read_bytes())
    raw[len(raw) // 2] ^= 1
    entries.write_bytes(raw)
    assert studio.refusal("audit", "verify", folder) == "proof_invalid"


def test_a_checkpoint_is_a_signed_note(studio: Vouch) -> None:
    note = studio.json("audit", "checkpoint")["checkpoint"]
    assert "\n\n\u2014 " in note
    assert note.strip() in studio.run("audit", "checkpoint").stdout


def test_a_consent_can_be_narrowed_and_never_widened(studio: Vouch) -> None:
    voice_id = studio.enrol("Narrowed")
    beyond = studio.refusal(
        "consent",
        "record",
        voice_id,
        "--purpose",
        "accessibility",
        "--language",
        "en",
        "--until",
        "2030-12-31",
    )
    assert beyond == "evidence_does_not_cover"
    studio.state(voice_id, "accessibility")
    recorded = studio.consent(voice_id, "--purpose", "accessibility")
    consent_id = recorded["consent"]["consent_id"]
    narrowed = studio.json("consent", "narrow", consent_id, "--purpose", "narration")
    assert narrowed["consent"]["version"] == recorded["consent"]["version"] + 1
    assert studio.json("consent", "show", consent_id)["terms"]["purposes"] == ["narration"]
    wider = studio.refusal("consent", "narrow", consent_id, "--purpose", "advertising")
    assert wider == "purpose_not_consented"
    assert [one["consent_id"] for one in studio.json("consent", "list", "--voice-id", voice_id)] == [
        consent_id
    ]
    assert json.loads(studio.json("consent", "receipt", consent_id)["receipt"])


def test_a_key_speaks_for_a_purpose_that_it_lists_and_ends_when_revoked(
    studio: Vouch, tmp_path: Path
) -> None:
    made = studio.json("key", "create", "--role", "narrator", "--purpose", "narration", "--voice", "*")
    voice_id = studio.enrol("Bound")
    consent_id = studio.consent(voice_id, "--no-bind")["consent"]["consent_id"]
    speak = ("say", LINE, "-o", tmp_path / "clip.wav", "--voice", voice_id)
    env = {"VOUCH_API_KEY": made["api_key"]}
    assert studio.refusal(*speak, env=env) == "consent_required"
    studio.json("key", "bind", made["key_id"], consent_id)
    assert studio.run(*speak, env=env).exit_code == 0
    assert studio.refusal(*speak, "--purpose", "advertising", env=env) == "purpose_not_claimable"
    studio.json("key", "revoke", made["key_id"])
    assert studio.refusal(*speak, env=env) == "unauthenticated"


def test_a_consent_token_can_be_given_instead_of_a_binding(studio: Vouch, tmp_path: Path) -> None:
    voice_id = studio.enrol("Token")
    token = studio.consent(voice_id, "--no-bind")["consent_token"]
    speak = ("say", LINE, "-o", tmp_path / "clip.wav", "--voice", voice_id)
    assert studio.run(*speak, env={"VOUCH_CONSENT_TOKEN": token}).exit_code == 0
    assert studio.refusal(*speak, env={"VOUCH_CONSENT_TOKEN": "not-a-token"}) == "consent_token_invalid"


def test_voices_are_listed_shown_and_decommissioned(studio: Vouch, tmp_path: Path) -> None:
    voice_id = studio.enrol("Last")
    studio.consent(voice_id)
    assert voice_id in {voice["voice_id"] for voice in studio.json("voice", "list")}
    unsure = studio.run("voice", "decommission", voice_id, "--reason", "done")
    assert (unsure.exit_code, "[not_confirmed]" in unsure.stderr) == (1, True)
    unsure = studio.run("voice", "decommission", voice_id, "--reason", "done", "--json")
    assert json.loads(unsure.stderr)["error"]["code"] == "not_confirmed"
    assert studio.json("voice", "show", voice_id)["state"] == "active"
    gone = studio.json("voice", "decommission", voice_id, "--reason", "done", "--yes")
    assert gone["state"] == "decommissioned"
    speak = ("say", LINE, "-o", tmp_path / "clip.wav", "--voice", voice_id)
    assert studio.run(*speak).exit_code == 1


def test_a_reviewer_hears_what_they_decide_on_and_nobody_else_does(studio: Vouch, tmp_path: Path) -> None:
    begun = studio.json("voice", "enrol", "--name", "Heard", "--subject", "A Person")
    reference, statement = tmp_path / "r.wav", tmp_path / "s.wav"
    reference.write_bytes(voiced(4.0, hertz=150.0))
    statement.write_bytes(voiced(4.0, hertz=151.0))
    studio.json(
        "voice", "enrol", "--enrolment", begun["enrolment_id"], "--reference", reference,
        "--transcript", "what the sample says", "--statement", statement,
    )  # fmt: skip
    heard = tmp_path / "heard"
    waiting = studio.json("voice", "review", begun["voice_id"], "--listen", heard)
    assert waiting["sentence"] == begun["sentence"]
    for part in ("statement", "reference"):
        path = heard / f"{part}.wav"
        assert path.stat().st_mode & 0o777 == 0o600
        assert soundfile.info(io.BytesIO(path.read_bytes())).frames > 3 * 16_000
    assert studio.refusal("voice", "review", begun["voice_id"], "--listen", heard) == "output_exists"
    studio.json("voice", "review", begun["voice_id"], "--approve")
    assert (
        studio.refusal("voice", "review", begun["voice_id"], "--listen", tmp_path / "late")
        == "voice_not_in_review"
    )


def test_a_refused_enrolment_never_speaks(studio: Vouch) -> None:
    voice_id = studio.enrol("Refused", approve=False)
    refused = studio.run(
        "consent", "record", voice_id, "--purpose", "narration", "--language", "en", "--until", "2030-12-31"
    )
    assert refused.exit_code == 1


def test_a_narrowing_that_withdraws_clips_is_asked_about_first(studio: Vouch, tmp_path: Path) -> None:
    voice_id = studio.enrol("Asked")
    consent_id = studio.consent(voice_id, "--language", "de")["consent"]["consent_id"]
    studio.json("say", LINE, "-o", tmp_path / "clip.wav", "--voice", voice_id)
    narrow = ("consent", "narrow", consent_id, "--language", "en")
    assert studio.refusal(*narrow) == "not_confirmed"
    assert "withdraws 1 clip for good" in studio.run(*narrow).stderr
    assert studio.json("consent", "show", consent_id)["version"] == 1
    assert studio.json(*narrow, "--yes")["consent"]["version"] == 2
    # Nothing is lost any more, so nothing is asked.
    assert studio.json("consent", "narrow", consent_id, "--until", "2030-06-30")["consent"]["version"] == 3


def test_a_decommissioning_names_beforehand_all_that_it_destroys(studio: Vouch, tmp_path: Path) -> None:
    voice_id = studio.enrol("Ending")
    studio.consent(voice_id)
    studio.json("say", LINE, "-o", tmp_path / "clip.wav", "--voice", voice_id)
    asked = studio.run("voice", "decommission", voice_id, "--reason", "done").stderr
    for part in ("'Ending'", "2 sealed recordings", "1 clip", "A Person", "1 consent", "[not_confirmed]"):
        assert part in asked


def test_a_period_in_the_past_is_refused(studio: Vouch) -> None:
    voice_id = studio.enrol("Kept")
    assert studio.refusal("voice", "keep", voice_id, "--until", "2020-01-01") == "validity_invalid"
    assert studio.json("voice", "show", voice_id)["retain_until"] is None


def test_the_reviewer_reads_plain_words_and_what_comes_next(studio: Vouch) -> None:
    begun = studio.json("voice", "enrol", "--name", "Next", "--subject", "A Person")
    assert "I know that Local Studio will use recordings of my voice" in begun["sentence"]
    reference, statement = studio.folder / "r.wav", studio.folder / "s.wav"
    reference.write_bytes(voiced(4.0, hertz=150.0))
    statement.write_bytes(voiced(4.0, hertz=151.0))
    given = studio.json(
        "voice", "enrol", "--enrolment", begun["enrolment_id"], "--reference", reference,
        "--transcript", "what the sample says", "--statement", statement,
    )  # fmt: skip
    assert "challenge_not_checked" in given["doubts"]
    waiting = studio.run("voice", "review", begun["voice_id"]).stdout
    assert "listen whether the sentence is spoken, word for word [challenge_not_checked]" in waiting
    approved = studio.run("voice", "review", begun["voice_id"], "--approve").stdout
    assert f"vouch consent record {begun['voice_id']} --purpose narration --language en" in approved
    assert "--grantee 'Local Studio'" in approved


def test_a_message_to_the_person_is_told_with_the_place_where_it_lies(studio: Vouch) -> None:
    words = ("voice", "enrol", "--name", "Mail", "--subject", "A Person", "--contact", "a@example.org")
    shown = studio.run(*words).stdout
    assert "a@example.org" in shown
    assert str(studio.folder / "data" / "outbox") in shown
    assert list((studio.folder / "data" / "outbox").glob("*.eml"))


def test_a_sentence_of_which_no_word_was_heard_is_told_to_whoever_enrols(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _warn(("challenge_not_recognised",))
    assert capsys.readouterr().err == ""
    _warn(("challenge_not_spoken",))
    assert "none of the drawn words was recognised" in capsys.readouterr().err


def test_the_preset_speakers_are_listed_also_where_one_is_unknown(studio: Vouch, tmp_path: Path) -> None:
    speakers = studio.json("voice", "presets")["speakers"]
    assert speakers == list(SPEAKERS)
    assert studio.run("voice", "presets").stdout.split() == speakers
    refused = studio.run("say", LINE, "-o", tmp_path / "clip.wav", "--voice", "Nobody")
    assert refused.exit_code == 1
    assert "[speaker_unknown]" in refused.stderr
    assert all(speaker in refused.stderr for speaker in speakers)


def test_what_crashed_processes_left_is_counted_by_the_doctor_and_cleared_away(studio: Vouch) -> None:
    def found() -> dict[str, dict[str, object]]:
        return {check["check"]: check for check in studio.json("doctor")["checks"]}

    voice_id = studio.enrol("Left")
    studio.consent(voice_id)
    studio.json("say", LINE, "-o", studio.folder / "clip.wav", "--voice", voice_id)
    studio.json("audit", "close-abandoned")
    assert found()["audit"]["advice"] == ""
    config = ConsentConfig(data_dir=studio.folder / "data")
    service = ConsentService.open(config)
    with service._core.ledger.write() as connection:
        connection.execute(
            text("UPDATE redemptions SET closing_leaf = NULL, redeemed_at = redeemed_at - 7200")
        )
        connection.execute(text("UPDATE replicas SET registered_at = registered_at - 700000"))
    service.close()
    before = found()
    assert before["audit"]["ok"]
    assert "close-abandoned" in str(before["audit"]["advice"])
    assert "forget-replicas" in str(before["replicas"]["advice"])
    closed = studio.json("audit", "close-abandoned", "--older-than", "90m")["closed"]
    assert closed >= 1
    assert studio.json("audit", "close-abandoned")["closed"] == 0
    assert studio.json("key", "forget-replicas")["forgotten"] >= 1
    assert studio.refusal("key", "forget-replicas", "--older-than", "5m") == "invalid_input"
    assert found()["audit"]["advice"] == found()["replicas"]["advice"] == ""

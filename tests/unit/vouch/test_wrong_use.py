"""What is typed wrong, and what is refused: one line on stderr, a stable code, the right exit code, nothing changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.vouch.conftest import Vouch

NOBODY = "voice_" + "0" * 32
RECORD = ("consent", "record", NOBODY, "--purpose", "narration", "--language", "en", "--until")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("no-such-command",),
        ("say", "no output given"),
        ("voice", "enrol"),
        ("voice", "enrol", "--enrolment", "enrolment_x"),
        (*RECORD, "soon"),
        (*RECORD, "2030-13-01"),
        ("key", "create", "--grantee", "local", "--role", "king"),
        ("key", "create", "--grantee", "local", "--role", "narrator", "--expires", "never"),
        ("narrate", "in.parquet", "out", "--engines", "0"),
        ("voice", "state", NOBODY),
        ("audit", "close-abandoned", "--older-than", "soon"),
        ("bench", "engine", "--engine", "another"),
        ("verify",),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_wrong_usage_is_exit_code_two(vouch: Vouch, words: tuple[str, ...]) -> None:
    result = vouch.run(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "absent.wav"), "not_found"),
        (("audit", "verify", "absent"), "proof_invalid"),
        (("voice", "show", NOBODY), "voice_unknown"),
        (("voice", "review", NOBODY, "--approve"), "voice_unknown"),
        (("consent", "show", "consent_" + "0" * 32), "consent_unknown"),
        (("consent", "revoke", "consent_" + "0" * 32, "--reason", "x"), "consent_unknown"),
        ((*RECORD, "2030-12-31"), "voice_unknown"),
        (("say", "Hello.", "-o", "out.wav", "--language", "tlh"), "language_unsupported"),
        (("say", "  ", "-o", "out.wav"), "text_empty"),
        (("say", "a\x07b", "-o", "out.wav"), "text_control_characters"),
        (("say", "word " * 2000, "-o", "out.wav"), "text_too_long"),
        (("say", "Hello.", "-o", "absent/out.wav"), "not_found"),
        (("say", "Hello.", "-o", "out.wav", "--lexicon", "absent.json"), "not_found"),
        (("say", "Well [pause 11s] then", "-o", "out.wav"), "markup_invalid"),
        (("scripts", "check", "absent.parquet"), "input_unreadable"),
        (("scripts", "prepare", "absent.csv", "out.parquet"), "input_unreadable"),
        (("narrate", "absent.parquet", "out"), "input_unreadable"),
        (("bench", "engine", "--engine", "qwen"), "engine_unavailable"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_refusal_is_exit_code_one_with_a_code(
    vouch: Vouch, words: tuple[str, ...], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vouch.folder)
    assert vouch.refusal(*words) == code
    assert not (vouch.folder / "out.wav").exists()


def test_a_voice_that_nobody_enrolled_does_not_speak(vouch: Vouch) -> None:
    assert (
        vouch.refusal("say", "Hello.", "-o", vouch.folder / "out.wav", "--voice", NOBODY) == "voice_unknown"
    )


def test_a_recording_that_is_missing_or_no_audio_is_refused(vouch: Vouch) -> None:
    begun = vouch.json("voice", "enrol", "--name", "A", "--subject", "B")
    text = vouch.folder / "text.wav"
    text.write_text("not a recording")
    complete = ("voice", "enrol", "--enrolment", begun["enrolment_id"], "--transcript", "x")
    missing = vouch.folder / "absent.wav"
    assert vouch.refusal(*complete, "--reference", missing, "--statement", text) == "io_error"
    assert vouch.refusal(*complete, "--reference", text, "--statement", text) == "recording_unreadable"


def test_keys_that_others_can_read_are_refused(vouch: Vouch) -> None:
    vouch.json("voice", "list")
    identity = vouch.folder / "data" / "identity.json"
    assert identity.stat().st_mode & 0o777 == 0o600
    identity.chmod(0o644)
    assert vouch.refusal("voice", "list") == "key_file_unsafe"


def test_a_wrong_key_is_refused_and_not_repeated(vouch: Vouch) -> None:
    vouch.json("voice", "list")
    env = {"VOUCH_API_KEY": "vouch_secret_of_somebody"}
    assert vouch.refusal("voice", "list", env=env) == "unauthenticated"
    assert "secret_of_somebody" not in vouch.run("voice", "list", env=env).output


@pytest.mark.parametrize("text", ["engine: {name: embedded}\nsurprise: 1\n", "engine: [", "- a list", ""])
def test_a_configuration_that_does_not_fit_is_refused(vouch: Vouch, text: str) -> None:
    path = vouch.folder / "vouch.yaml"
    path.write_text(text)
    assert vouch.refusal("voice", "list", env={"VOUCH_CONFIG": str(path)}) == "config_invalid"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("engine: {nmae: embedded}", "no setting is called engine.nmae; did you mean engine.name?"),
        ("engine: {name: embedded}\nprot: 8000", "no setting is called prot; did you mean "),
        ("engine: {name: embedded}\nport: 8000", "no setting is called port; did you mean http.port or "),
        (
            "engine: {name: embedded}\nconsent: {kms: {region: x, kek: y, regoin: z}}",
            "no setting is called consent.kms.regoin; did you mean consent.kms.region?",
        ),
        (
            "engine: {name: embedded}\nzzzz: 1",
            "no setting is called zzzz; here are: clip_dir, consent, engine",
        ),
    ],
)
def test_an_unknown_setting_is_named_with_its_file_and_its_neighbour(
    vouch: Vouch, text: str, told: str
) -> None:
    path = vouch.folder / "vouch.yaml"
    path.write_text(text)
    error = vouch.run("voice", "list", env={"VOUCH_CONFIG": str(path)}).stderr
    assert told in error
    assert f"vouch: {path}: " in error
    assert "Extra inputs" not in error


def test_a_wrong_configuration_does_not_tell_its_secrets(vouch: Vouch) -> None:
    path = vouch.folder / "vouch.yaml"
    path.write_text(
        "engine: {name: embedded}\nconsent: {data_dri: x, ledger_url: 'postgresql://u:pa55word@h/d'}\n"
    )
    result = vouch.run("voice", "list", env={"VOUCH_CONFIG": str(path)})
    assert result.exit_code == 1
    assert "data_dri" in result.stderr
    assert "pa55word" not in result.output


def heeding_ctrl_c() -> None:
    """What a shell starts in the background ignores it, and so would all that these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_a_command_with_exit_code_130(tmp_path: Path) -> None:
    """A real process: it speaks a long text and is interrupted in the middle of it."""
    env = {**os.environ, "VOUCH_DATA_DIR": str(tmp_path / "data")}
    command = [
        sys.executable,
        "-m",
        "vouch.cli",
        "say",
        "A long way to go. " * 220,
        "-o",
        str(tmp_path / "out.wav"),
    ]
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding_ctrl_c,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "speaking" in line:
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not (tmp_path / "out.wav").exists()

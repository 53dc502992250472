"""The command line in this process, with an installation of its own in a temporary folder."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.assets.voiced import voiced
from vouch.cli import app

EXAMINER = Path(__file__).parents[2] / "assets" / "mark_examiner.py"


@dataclass(frozen=True)
class Vouch:
    """`vouch …` as typed, against the ledger in `folder`. Examiners' models take seconds to start, and each command
    starts its own: unless `examined`, a stand-in says that nothing is marked, and nobody compares speakers."""

    folder: Path
    examined: bool = False

    def _config(self) -> str:
        if self.examined:
            return ""
        path = self.folder / "unexamined.yaml"
        examination = {"speaker": "none", "marks": [sys.executable, str(EXAMINER)]}
        consent = {"data_dir": str(self.folder / "data"), "examination": examination}
        path.write_text(json.dumps({"consent": consent, "engine": {"name": "embedded"}}))
        return str(path)

    def run(self, *words: object, env: dict[str, str] | None = None) -> Result:
        mine = {
            "VOUCH_DATA_DIR": str(self.folder / "data"),
            "VOUCH_API_KEY": "",
            "VOUCH_CONFIG": self._config(),
        }
        return CliRunner().invoke(app, [str(word) for word in words], env={**mine, **(env or {})})

    def json(self, *words: object) -> Any:
        """What a command that must succeed prints with --json."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, f"{words}: {result.stderr}"
        return json.loads(result.stdout)

    def refusal(self, *words: object, env: dict[str, str] | None = None) -> str:
        """The code with which a command fails. Checks that both forms say so on stderr, and only there."""
        machine, human = self.run(*words, "--json", env=env), self.run(*words, env=env)
        assert (machine.exit_code, human.exit_code) == (1, 1), (machine.output, human.output)
        assert (machine.stdout, human.stdout) == ("", "")
        error = json.loads(machine.stderr.strip().splitlines()[-1])["error"]
        assert error["message"]
        assert human.stderr.strip().endswith(f"[{error['code']}]")
        assert "Traceback" not in human.stderr
        return str(error["code"])

    def enrol(self, name: str = "A voice", *, approve: bool = True) -> str:
        """Both steps, and the review; returns the voice id."""
        begun = self.json("voice", "enrol", "--name", name, "--subject", "A Person")
        reference, statement = self.folder / "reference.wav", self.folder / "statement.wav"
        reference.write_bytes(voiced(4.0, hertz=140.0))
        statement.write_bytes(voiced(4.0, hertz=141.0))
        waiting = self.json(
            "voice", "enrol", "--enrolment", begun["enrolment_id"], "--reference", reference,
            "--transcript", "what the sample says", "--statement", statement,
        )  # fmt: skip
        assert waiting["state"] == "review"
        decided = self.json("voice", "review", begun["voice_id"], "--approve" if approve else "--refuse")
        assert decided["state"] == ("active" if approve else "refused")
        return str(begun["voice_id"])

    def state(self, voice_id: str, purpose: str) -> None:
        """A further statement, and its review."""
        begun = self.json("voice", "statement", voice_id, "--purpose", purpose)
        statement = self.folder / "further.wav"
        statement.write_bytes(voiced(4.0, hertz=142.0))
        given = self.json(
            "voice", "statement", "--challenge", begun["enrolment_id"], "--statement", statement
        )
        assert not given["counts"]
        assert self.json("voice", "review", voice_id, "--approve")["state"] == "active"

    def consent(self, voice_id: str, *more: object) -> dict[str, Any]:
        recorded: dict[str, Any] = self.json(
            "consent", "record", voice_id, "--purpose", "narration", "--language", "en", "--until", "2030-12-31", *more
        )  # fmt: skip
        return recorded


@pytest.fixture
def vouch(tmp_path: Path) -> Vouch:
    return Vouch(tmp_path)

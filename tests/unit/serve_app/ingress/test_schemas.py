"""What a request says, and its secrets, are in no repr: a repr ends in a log (DESIGN I6)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from consent_service.http import schemas as surface
from serve_app.ingress import schemas

SECRET = "Xyzzy"
SOUND = base64.b64encode(SECRET.encode()).decode()
SPOKEN: dict[str, Any] = {"language": "en", "lexicon": {SECRET: SECRET}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            schemas.VoiceCloneBody,
            {**SPOKEN, "text": SECRET, "voice_id": "v", "consent_token": SECRET, "instruct": SECRET},
        ),
        (schemas.VoiceDesignBody, {**SPOKEN, "text": SECRET, "instruct": SECRET}),
        (schemas.CustomVoiceBody, {**SPOKEN, "text": SECRET, "speaker": "Vivian", "instruct": SECRET}),
        (
            schemas.SpeechBody,
            {
                **SPOKEN, "input": SECRET, "voice": "v", "model": "m", "consent_token": SECRET,
                "instructions": SECRET,
            },
        ),
        (
            surface.BeginEnrolmentBody,
            {"name": "n", "language": "en", "grantee": "g", "purpose": "p", "subject_name": SECRET},
        ),
        (surface.CompleteEnrolmentBody, {"reference": SOUND, "statement": SOUND, "transcript": SECRET}),
        (surface.CompleteStatementBody, {"statement": SOUND}),
        (
            surface.KeepDesignBody,
            {"name": "n", "language": "en", "clip_id": "c", "transcript": SECRET, "reference": SOUND},
        ),
    ],
)  # fmt: skip
def test_no_repr_of_a_body_holds_what_it_says(body: type[BaseModel], said: dict[str, Any]) -> None:
    shown = repr(body.model_validate_json(json.dumps(said)))
    assert SECRET not in shown
    assert SOUND not in shown


def test_nothing_that_is_said_of_a_field_is_without_effect() -> None:
    """Pydantic warns of it, once and at import: so did the operator's terminal, and a lexicon was in every repr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import serve_app.ingress.schemas"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]

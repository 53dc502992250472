"""A transcript check by a speech recogniser over HTTP: the shape of OpenAI's /v1/audio/transcriptions.

The statement leaves this process, so the operator names the address: nothing is followed anywhere else (no
redirect, no proxy from the environment), the answer is bounded in time and size, and neither key nor answer is ever
part of an error.
"""

from __future__ import annotations

import json
import os
import time

import httpx

from consent_service.errors import ExaminationUnavailable
from consent_service.examination.config import RecogniserConfig
from consent_service.examination.findings import Finding
from consent_service.examination.recordings import Recording
from consent_service.examination.transcript import Asked, concluded

LONGEST_ANSWER = 64 * 1024


class HttpRecogniser:
    """Stateless but for its configuration."""

    def __init__(self, config: RecogniserConfig) -> None:
        self._config = config

    def check(self, asked: Asked, statement: Recording) -> Finding:
        """Raises ExaminationUnavailable for anything but a transcript in time."""
        return concluded(
            asked, self._transcribe(asked.language, statement.wav), by=f"http {self._config.model}"
        )

    def _transcribe(self, language: str, wav: bytes) -> str:
        try:
            answer = json.loads(self._ask(language, wav))
            text = answer["text"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            # Not chained: an error of the client holds the request, and with it the key.
            raise _unavailable("gave no transcript") from None
        if not isinstance(text, str):
            raise _unavailable("gave no transcript")
        return text

    def _ask(self, language: str, wav: bytes) -> bytes:
        config = self._config
        deadline = time.monotonic() + config.timeout_s
        fields = {"model": config.model, "language": language, "response_format": "json"}
        with (
            httpx.Client(timeout=config.timeout_s, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST", config.url, headers=self._headers(), data=fields,
                files={"file": ("statement.wav", wav, "audio/wav")},
            ) as answer,
        ):  # fmt: skip
            if answer.status_code != httpx.codes.OK:
                raise _unavailable(f"answered {answer.status_code}")
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > LONGEST_ANSWER or time.monotonic() > deadline:
                    raise _unavailable("answered too much, or too slowly")
            return bytes(body)

    def _headers(self) -> dict[str, str]:
        name = self._config.api_key_env
        if name is None:
            return {}
        secret = os.environ.get(name, "")
        if not secret:
            raise _unavailable(f"needs its key in {name}")
        return {"Authorization": f"Bearer {secret}"}


def _unavailable(what: str) -> ExaminationUnavailable:
    return ExaminationUnavailable(f"the speech recogniser {what}; nothing was enrolled, try again")

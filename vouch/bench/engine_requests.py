"""Requests as a replica makes them: a clone with a verified grant for this very text.

The grant is signed here, by a key that lives as long as this object, for a designed voice whose reference is a
computed hum: no person's voice is measured with, and the gate has a benchmark of its own.
"""

from __future__ import annotations

import secrets
import time
from typing import Final, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.grants import Basis, Grant, GrantVerifier, Utterance, sign_grant
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Mode,
    Reference,
    SpeechRequest,
)
from speech.text import prepare
from vouch.bench.house import PURPOSE, hum

TEXT: Final = "The sun had not yet risen, and the sea was indistinguishable from the sky."
STYLE: Final = "A calm, low voice, unhurried."
TRANSCRIPT: Final = "A hum has no words."
REFERENCE_S: Final = 4.0
MODES: Final[dict[Mode, str]] = {"clone": "base", "custom": "custom_voice", "design": "voice_design"}
_KEY_ID: Final = "benchmark"
_START_WITHIN_S: Final = 600.0


class Requests:
    """Each with a name and a seed of its own. speaker: of the CustomVoice checkpoint, if there is one."""

    def __init__(self, speaker: str = "") -> None:
        self._speaker = speaker
        self._key = Ed25519PrivateKey.generate()
        self._verifier = GrantVerifier({_KEY_ID: self._key.public_key().public_bytes_raw()})
        self._reference = Reference(hum(REFERENCE_S), SAMPLE_RATE, TRANSCRIPT)
        self._made = 0

    def make(self, mode: Mode, text: str = TEXT, language: str = "en") -> SpeechRequest:
        said = prepare(text, language, STYLE if mode == "design" else "")
        self._made += 1
        name, seed = f"benchmark-{self._made}", self._made
        match mode:
            case "clone":
                grant = self._verifier.verify(self._token(said), said)
                return CloneRequest(grant, said, self._reference, seed)
            case "custom":
                return CustomVoiceRequest(name, said, self._speaker, seed)
            case "design":
                return DesignRequest(name, said, seed)
            case _:
                assert_never(mode)

    def _token(self, said: Utterance) -> str:
        now = time.time()
        grant = Grant(
            grant_id=secrets.token_hex(16),
            clip_id=secrets.token_hex(16),
            tenant="benchmark",
            grantee="benchmark",
            key_id="benchmark",
            basis=Basis.DESIGNED,
            voice_id="benchmark-hum",
            voice_epoch=0,
            consent_id=None,
            consent_version=None,
            purpose=PURPOSE,
            said_digest=said.digest(),
            language=said.language,
            characters=said.characters,
            issued_at=now,
            start_by=now + _START_WITHIN_S,
            valid_until=None,
        )
        return sign_grant(grant, key_id=_KEY_ID, sign=self._key.sign)

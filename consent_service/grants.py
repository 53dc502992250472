"""Grants: the only thing that lets an engine speak (DESIGN I1).

A grant is a short-lived capability, signed with Ed25519 (RFC 8032) over canonical JSON (RFC 8785). It names
who may speak what in whose voice, and a digest over everything that decides what is said. This module is
pure: it signs through a callable, verifies against public keys, and does no I/O, so that `speech` may import
it. How long a grant may wait is `ConsentConfig.grant_start_within_s`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent_service.errors import GrantExpired, GrantForged, GrantKeyUnknown, GrantMalformed, GrantMismatch
from consent_service.proofs import canonical

GRANT_VERSION: Final = 2
PRESET_PREFIX: Final = "preset:"  # `Grant.voice_id` of a preset speaker: this, then its name
DESIGN_VOICE: Final = "design"  # `Grant.voice_id` of a voice that is described in words
# The one markup an utterance may hold, in canonical form; group 1: milliseconds. Heard as silence.
PAUSE_MARKUP: Final = re.compile(r"\[pause ([0-9]{1,5})ms\]", re.ASCII)


class Basis(StrEnum):
    """Why a voice may speak."""

    CONSENT = "consent"  # a person's cloned voice, under a recorded consent
    DESIGNED = "designed"  # a kept designed voice: a synthetic reference, no person behind it
    PRESET = "preset"  # a speaker that ships with the model
    DESIGN = "design"  # a voice described in words, for this clip alone

    @property
    def is_clone(self) -> bool:
        """Whether a stored reference recording is needed."""
        return self in (Basis.CONSENT, Basis.DESIGNED)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Everything that decides what is said: the text after markup, lexicon and normalisation.

    Build it with `speech.text.prepare`, so that the text is in canonical form.
    language: ISO 639-1 code. instruct: style or voice description, "" for none.
    """

    text: str = field(repr=False)
    language: str
    instruct: str = field(default="", repr=False)

    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields, in hex."""
        body: dict[str, Any] = {"instruct": self.instruct, "language": self.language, "text": self.text}
        body["v"] = GRANT_VERSION
        return hashlib.sha256(canonical.dumps(body)).hexdigest()

    @property
    def characters(self) -> int:
        """How many are said: pauses are covered by the digest and not counted."""
        if "[pause " not in self.text:
            return len(self.text)
        return len(" ".join(PAUSE_MARKUP.sub(" ", self.text).split()))


@dataclass(frozen=True, slots=True)
class Grant:
    """What one synthesis may do. Times are Unix seconds; ids are hex or prefixed hex."""

    grant_id: str  # 128-bit nonce, used up by redeem
    clip_id: str  # 128 bit, the one clip that may come of it
    tenant: str
    grantee: str
    key_id: str  # the API key that asked
    basis: Basis
    voice_id: str  # a ledger voice, "preset:NAME" or "design"
    voice_epoch: int  # bumped by every revocation
    consent_id: str | None
    consent_version: int | None
    purpose: str
    said_digest: str  # Utterance.digest()
    language: str  # ISO 639-1: what the consent was held against
    characters: int  # what its budget was held against
    issued_at: float
    start_by: float
    valid_until: float | None  # when the consent ends; None where no consent is needed


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A grant whose signature, time and utterance were checked. Only `GrantVerifier` makes one."""

    grant: Grant
    token: str = field(repr=False)
    _made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._made_by is not _VERIFIER:
            raise GrantForged("a verified grant comes from GrantVerifier.verify and from nowhere else")


_VERIFIER: Final = object()
_FIELDS: Final = tuple(each.name for each in fields(Grant))


def sign_grant(grant: Grant, *, key_id: str, sign: Callable[[bytes], bytes]) -> str:
    """Serialise and sign. Returns `base64url(payload).base64url(signature)`; `sign` is Ed25519."""
    body: dict[str, Any] = {name: getattr(grant, name) for name in _FIELDS}
    body |= {"basis": grant.basis.value, "kid": key_id, "v": GRANT_VERSION}
    payload = canonical.dumps(body)
    return f"{_b64(payload)}.{_b64(sign(payload))}"


class GrantVerifier:
    """Verifies grants offline against the ledger's public keys (key id → 32 raw bytes)."""

    def __init__(self, public_keys: Mapping[str, bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = {kid: Ed25519PublicKey.from_public_bytes(raw) for kid, raw in public_keys.items()}
        self._clock = clock

    def verify(self, token: str, said: Utterance) -> VerifiedGrant:
        """Check signature, start time and utterance.

        Raises GrantMalformed, GrantForged, GrantExpired or GrantMismatch.
        """
        grant = self.verify_signature(token)
        if self._clock() > grant.start_by:
            raise GrantExpired("the grant's time to start has passed; ask the gate again")
        if grant.said_digest != said.digest():
            raise GrantMismatch("the grant was issued for another text, language or instruction")
        # The digest covers these, but the gate saw only what the caller claimed of them.
        if (grant.language, grant.characters) != (said.language, said.characters):
            raise GrantMismatch("the gate was told another language or length than the text's")
        return VerifiedGrant(grant, token, _VERIFIER)

    def verify_signature(self, token: str) -> Grant:
        """Check the signature alone and return the grant. Raises GrantMalformed or GrantForged."""
        try:
            head, _, tail = token.partition(".")
            payload, signature = _unb64(head), _unb64(tail)
            body: dict[str, Any] = json.loads(payload)
            version, kid = body.pop("v"), str(body.pop("kid"))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as exc:
            raise GrantMalformed("not a grant") from exc
        key = self._keys.get(kid)
        if key is None:
            raise GrantKeyUnknown("the grant was signed by a key that is not trusted here")
        try:
            key.verify(signature, payload)
        except InvalidSignature as exc:
            raise GrantForged("the grant's signature does not verify") from exc
        if version != GRANT_VERSION:
            raise GrantMalformed(f"grant version {version!r} is not supported")
        try:
            return Grant(**{**body, "basis": Basis(body["basis"])})
        except (TypeError, ValueError, KeyError) as exc:
            raise GrantMalformed("the grant lacks a field or has one too many") from exc


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc

"""Signed statements: canonical JSON (RFC 8785) under an Ed25519 signature. Pure.

    {"signature": {"alg": "Ed25519", "kid": …, "value": base64}, "statement": {"type": …, …}}

Certificates of deletion, lists of standings and the head of a bundle are such statements; in a receipt the member is
called `receipt`. The type is signed, so
that none can stand in for another. The reader takes only what the writer would have written, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent_service.errors import ProofInvalid

Signer: TypeAlias = Callable[[bytes], tuple[str, bytes]]  # message → (key id, 64 bytes)


def sign_statement(kind: str, body: Mapping[str, Any], sign: Signer, *, member: str = "statement") -> str:
    """One line of canonical JSON, without a line break. member: the name under which the body stands."""
    stated = {**body, "type": kind}
    return _render(member, stated, *sign(rfc8785.dumps(stated)))


def verify_statement(
    kind: str, text: str, public_keys: Mapping[str, bytes], *, member: str = "statement"
) -> dict[str, Any]:
    """What is stated. `public_keys`: key id → 32 raw bytes. Raises ProofInvalid on any change."""
    try:
        document = json.loads(text)
        stated, proof = dict(document[member]), document["signature"]
        kid, signature = proof["kid"], base64.b64decode(proof["value"], validate=True)
        key, message = public_keys.get(kid), rfc8785.dumps(stated)
        # Whatever is not exactly what was written (a member too many, a space) has been touched.
        exact = _render(member, stated, kid, signature) == text and stated["type"] == kind
    except (ValueError, KeyError, TypeError, RecursionError, rfc8785.CanonicalizationError) as exc:
        raise ProofInvalid(f"not a {kind}") from exc
    if not exact:
        raise ProofInvalid(f"not a {kind} in canonical form")
    if key is None:
        raise ProofInvalid("signed by a key that is not trusted here")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature as exc:
        raise ProofInvalid("the signature does not verify") from exc
    return stated


def text_of(raw: bytes) -> str:
    """The text of a file that is to be verified. Raises ProofInvalid."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ProofInvalid("not text in UTF-8") from None


def canonical_digest(body: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical form, in hex: how an entry of the log names a statement."""
    return hashlib.sha256(rfc8785.dumps(dict(body))).hexdigest()


def _render(member: str, stated: Mapping[str, Any], key_id: str, signature: bytes) -> str:
    proof = {"alg": "Ed25519", "kid": key_id, "value": base64.b64encode(signature).decode("ascii")}
    return rfc8785.dumps({"signature": proof, member: dict(stated)}).decode()

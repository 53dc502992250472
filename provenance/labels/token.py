"""A signed statement that goes before a stream's first byte: what follows is synthetic, and which clip it is.

A compact JWS (RFC 7515), ES256, under the leaf that signs manifests, which it carries in `x5c`: our root alone is
enough to check it, offline. The signing input is ASCII and a COSE structure never is, so neither signature can be
taken for the other. It names no person and holds no text; the digest ties it to the manifest that follows when the
stream has ended.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.disclosure import Disclosure
from provenance.errors import TokenInvalid
from provenance.manifest import GENERATED, assertion
from provenance.signing import LeafSigner, SigningLeaf

_TYPE: Final = "vouch-disclosure+jwt"
_LONGEST: Final = 8_192
_COORDINATE: Final = 32


@dataclass(frozen=True, slots=True)
class StreamDisclosure:
    """What a token says. claims: SHA-256, hex, over the canonical form of the manifest's own assertion."""

    clip_id: str
    provider: str
    issued_at: int  # Unix seconds
    claims: str


def issue(disclosure: Disclosure, leaves: LeafSigner) -> str:
    """ASCII, about 1,100 characters: fit for a header. Raises StampFailed, and what the signer raises."""
    return leaves.under_one_leaf(lambda leaf: _written(disclosure, leaf))


def _written(disclosure: Disclosure, leaf: SigningLeaf) -> str:
    head = {
        "alg": "ES256",
        "typ": _TYPE,
        "x5c": [base64.b64encode(leaf.certificate.public_bytes(Encoding.DER)).decode("ascii")],
    }
    body = {
        "iss": disclosure.provider,
        "sub": disclosure.clip_id,
        "iat": int(disclosure.generated_at),
        "source_type": GENERATED,
        "claims": claims_digest(disclosure),
    }
    said = f"{_encoded(head)}.{_encoded(body)}"
    return f"{said}.{_base64url(leaf.sign(said.encode('ascii')))}"


def verify(token: str, trust_anchor: bytes) -> StreamDisclosure:
    """trust_anchor: our root certificates, PEM. Raises TokenInvalid.

    The leaf must have been valid when the token was issued; whether that time is true, only the log can prove.
    """
    try:
        if len(token) > _LONGEST:
            raise TokenInvalid("the token is too long")
        said, _, signature = token.rpartition(".")
        first, second = said.split(".")
        head, body = _decoded(first), _decoded(second)
        if (head["alg"], head["typ"]) != ("ES256", _TYPE):
            raise TokenInvalid("not a disclosure token")
        (leaf_der,) = head["x5c"]
        leaf = x509.load_der_x509_certificate(base64.b64decode(leaf_der, validate=True))
        _check_leaf(leaf, x509.load_pem_x509_certificates(trust_anchor), body["iat"])
        _check_signature(leaf, said.encode("ascii"), _unbase64url(signature))
        if body["source_type"] != GENERATED:
            raise TokenInvalid("the token does not say that the stream is synthetic")
        return StreamDisclosure(str(body["sub"]), str(body["iss"]), int(body["iat"]), str(body["claims"]))
    except (InvalidSignature, ValueError, KeyError, TypeError, OverflowError, binascii.Error) as exc:
        raise TokenInvalid("the disclosure token does not verify") from exc


def claims_digest(disclosure: Disclosure) -> str:
    return hashlib.sha256(rfc8785.dumps(assertion(disclosure))).hexdigest()


def _check_leaf(leaf: x509.Certificate, roots: list[x509.Certificate], issued_at: int) -> None:
    at = datetime.fromtimestamp(issued_at, UTC)
    if leaf in roots or not any(_issued(leaf, root) for root in roots):
        raise TokenInvalid("the token is not signed under this root")
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
        raise TokenInvalid("the certificate was not valid when the token was issued")


def _issued(leaf: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_signature(leaf: x509.Certificate, said: bytes, signature: bytes) -> None:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 2 * _COORDINATE:
        raise TokenInvalid("the token is not signed with ES256")
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
    key.verify(encode_dss_signature(r, s), said, ec.ECDSA(hashes.SHA256()))


def _encoded(body: dict[str, Any]) -> str:
    return _base64url(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())


def _decoded(part: str) -> dict[str, Any]:
    body = json.loads(_unbase64url(part))
    if not isinstance(body, dict):
        raise TokenInvalid("not a disclosure token")
    return body


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unbase64url(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _base64url(raw) != text:
        raise TokenInvalid("not base64url as RFC 7515 has it")  # one token, one spelling
    return raw

"""Calls to AWS KMS, bounded in time, failing closed. Through botocore directly: the calls are few.

Everything is bound to an encryption context, the SHA-256 of what it belongs to: KMS refuses a ciphertext in another's
place, and its trail names no tenant and no voice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consent_service.errors import KeyServiceUnavailable, VaultError
from consent_service.keys.settings import KmsConfig
from consent_service.objects.aws_logs import keep_bodies_out

_LONGEST: Final = 4096  # bytes that KMS signs as they are
# What KMS says of a ciphertext that was changed, or that was bound to something else.
_NOT_THIS_ONE: Final = frozenset(
    {"InvalidCiphertextException", "IncorrectKeyException", "ValidationException"}
)


class KmsClient:
    """Thread-safe. Holds no key."""

    def __init__(self, config: KmsConfig) -> None:
        bounds = Config(
            connect_timeout=config.connect_timeout_s,
            read_timeout=config.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": config.attempts},
        )
        keep_bodies_out()
        with _room_errors():
            self._kms: Any = Session().create_client(
                "kms", region_name=config.region, endpoint_url=config.endpoint_url, config=bounds
            )

    def arn(self, name: str) -> str:
        """What an id or an alias stands for now."""
        with _room_errors():
            return str(self._kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"])

    def encrypt(self, key: str, plaintext: bytes, aad: bytes) -> bytes:
        with _room_errors():
            answer = self._kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=_context(aad))
            return bytes(answer["CiphertextBlob"])

    def decrypt(self, key: str, ciphertext: bytes, aad: bytes) -> bytes:
        with _room_errors():
            answer = self._kms.decrypt(KeyId=key, CiphertextBlob=ciphertext, EncryptionContext=_context(aad))
            return bytes(answer["Plaintext"])

    def re_encrypt(self, ciphertext: bytes, aad: bytes, *, old: str, new: str) -> bytes:
        """From one key to another inside of the KMS: the plaintext does not come here."""
        context = _context(aad)
        with _room_errors():
            answer = self._kms.re_encrypt(
                CiphertextBlob=ciphertext, SourceKeyId=old, SourceEncryptionContext=context,
                DestinationKeyId=new, DestinationEncryptionContext=context,
            )  # fmt: skip
            return bytes(answer["CiphertextBlob"])

    def sign_p256(self, key: str, message: bytes) -> bytes:
        """ECDSA with SHA-256, in DER. What is too long for KMS goes there as its digest."""
        what = {"Message": message, "MessageType": "RAW"}
        if len(message) > _LONGEST:
            what = {"Message": hashlib.sha256(message).digest(), "MessageType": "DIGEST"}
        with _room_errors():
            answer = self._kms.sign(KeyId=key, SigningAlgorithm="ECDSA_SHA_256", **what)
            return bytes(answer["Signature"])

    def p256_public_key(self, key: str) -> ec.EllipticCurvePublicKey:
        with _room_errors():
            raw = bytes(self._kms.get_public_key(KeyId=key)["PublicKey"])
        public = serialization.load_der_public_key(raw)
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise VaultError("kms.manifest names a key that is not ECC_NIST_P256")
        return public


def _context(aad: bytes) -> dict[str, str]:
    return {"vouch": hashlib.sha256(aad).hexdigest()}


@contextmanager
def _room_errors() -> Iterator[None]:
    """KMS's error code, never its message: that may repeat what it was sent."""
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", "unknown"))
        if code in _NOT_THIS_ONE:
            raise VaultError("a wrapped data key is damaged, or is not this object's") from None
        raise KeyServiceUnavailable(f"the KMS refuses ({code}); look at its keys and at our rights") from None
    except BotoCoreError as exc:
        raise KeyServiceUnavailable(f"the KMS can't be reached ({type(exc).__name__})") from None

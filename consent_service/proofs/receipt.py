"""How a consent receipt is signed and verified. What it says: `consents.receipts`. Pure.

After ISO/IEC TS 27560:2023: canonical JSON (RFC 8785), signed with Ed25519.

A receipt is what the person who lent the voice takes home. It names them by a number only, and says what was
allowed, to whom, until when, where it stands in the audit log, and that it can be withdrawn. It is JSON-LD and carries
its context (`vocabulary`), so that nothing is fetched to read it. It verifies offline, against the public key that the
organisation publishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from consent_service.errors import ProofInvalid
from consent_service.proofs.statement import Signer, sign_statement, text_of, verify_statement
from consent_service.proofs.trust import TrustedKeys

RECEIPT_TYPE: Final = "vouch.consent-receipt.v1"
MAX_BYTES: Final = 1 << 20  # far above any receipt; what is longer is not read


def sign_receipt(body: Mapping[str, Any], sign: Signer) -> str:
    """One line of canonical JSON: the body and its signature. `sign` returns (key id, 64 bytes)."""
    return sign_statement(RECEIPT_TYPE, body, sign, member="receipt")


def verify_receipt(receipt: str | bytes, keys: TrustedKeys | Mapping[str, bytes]) -> dict[str, Any]:
    """The receipt's body. `keys`: the trusted ones of the tenant, by which the checkpoint that the receipt rests on is
    verified too, and that its key had not been superseded by then; or key id → 32 raw bytes, for the signature alone.
    Raises ProofInvalid on any change."""
    public_keys = keys.statements if isinstance(keys, TrustedKeys) else keys
    if len(receipt) > MAX_BYTES:
        raise ProofInvalid("not a receipt: it is far too long")
    text = receipt if isinstance(receipt, str) else text_of(receipt)
    body = verify_statement(RECEIPT_TYPE, text, public_keys, member="receipt")
    if isinstance(keys, TrustedKeys):
        keys.verify_resting_on(_checkpoint_of(body), text)
    return body


def _checkpoint_of(body: Mapping[str, Any]) -> str:
    try:
        return str(body["audit"]["checkpoint"])
    except (KeyError, TypeError) as exc:
        raise ProofInvalid("the receipt does not say where the log tells of it") from exc

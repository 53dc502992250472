"""How a certificate of deletion is signed and verified. What it says: `deletion.certify`. Pure.

A certificate holds an *account* (what was destroyed, by digest; what stays, and why; what could not be reached)
and the log's entry over the account's digest, with its inclusion proof (RFC 6962) and checkpoint. It is a signed
statement and verifies offline. What it can't show: that no copy was made outside of the places that it names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consent_service.errors import ProofInvalid
from consent_service.proofs.merkle import leaf_hash, verify_inclusion
from consent_service.proofs.statement import Signer, canonical_digest, sign_statement, verify_statement
from consent_service.proofs.trust import TrustedKeys

CERTIFICATE_TYPE: Final = "vouch.deletion-certificate.v1"
CERTIFIED: Final = "voice.destroyed"  # the kind of the log's entry


@dataclass(frozen=True, slots=True)
class DeletionCertificate:
    """A certificate that verified. `account` is JSON-ready."""

    tenant: str
    voice_id: str
    finished_at: float
    account: Mapping[str, Any]
    leaf: int
    checkpoint: str


def sign_certificate(
    account: Mapping[str, Any],
    *,
    entry: bytes,
    leaf: int,
    path: Sequence[bytes],
    checkpoint: str,
    sign: Signer,
) -> str:
    """`entry` is the leaf's canonical JSON; `path` its audit path in the tree that `checkpoint` signs."""
    log = {
        "leaf": leaf,
        "entry": entry.decode(),
        "path": [node.hex() for node in path],
        "checkpoint": checkpoint,
    }
    return sign_statement(CERTIFICATE_TYPE, {"account": dict(account), "log": log}, sign)


def verify_certificate(text: str, trusted: TrustedKeys) -> DeletionCertificate:
    """Signature, checkpoint, inclusion, and that the entry is about this account. Raises ProofInvalid."""
    stated = verify_statement(CERTIFICATE_TYPE, text, trusted.statements)
    try:
        account, log = stated["account"], stated["log"]
        tree = trusted.verify_resting_on(log["checkpoint"], text)
        path = [bytes.fromhex(node) for node in log["path"]]
        verify_inclusion(log["leaf"], tree.size, leaf_hash(log["entry"].encode()), path, tree.root)
        entry = json.loads(log["entry"])
        about = (entry["kind"], entry["n"], entry["voice"], entry["account"])
        if about != (CERTIFIED, log["leaf"], account["voice_id"], canonical_digest(account)):
            raise ProofInvalid("the log's entry is about something else than this certificate")
        return DeletionCertificate(
            account["tenant"],
            account["voice_id"],
            account["finished_at"],
            account,
            log["leaf"],
            log["checkpoint"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProofInvalid("the certificate lacks what a certificate says") from exc

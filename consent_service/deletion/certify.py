"""The last step of a decommissioning: the account of it, its entry in the log, and the certificate over both."""

from __future__ import annotations

from typing import Any, Final

from consent_service.core import Core, WriteTransaction
from consent_service.deletion import erase
from consent_service.ledger import log
from consent_service.models import Principal
from consent_service.proofs.certificate import CERTIFIED, sign_certificate
from consent_service.proofs.records import KeyPurpose
from consent_service.proofs.statement import canonical_digest

_DAY_S: Final = 86_400.0
_PROMPTS: Final = (
    "held in the memory of replicas only; each that follows the feed of revocations drops them within a second, and "
    "one that can't follow it speaks no more"
)
_REACH: Final = (
    "copies that were made outside of the places named here (backups, replicas of a bucket or database, the "
    "write-ahead log of PostgreSQL, mail that was sent) are out of reach; what is backed up ages out within the "
    "horizon; a backup of the ledger holds no key that opens a recording"
)


def certify(
    core: Core,
    writing: WriteTransaction,
    by: Principal,
    voice_id: str,
    begun_at: float,
    report: dict[str, Any],
) -> str:
    """Append the entry and sign. The certificate is kept in the transaction that appended it."""
    account = _account(core, writing, voice_id, begun_at, report)
    leaf = writing.log.append(CERTIFIED, by=by.key_id, voice=voice_id, account=canonical_digest(account))
    writing.log.flush()
    tree = writing.log.tree
    (entry,) = log.entries(writing.connection, writing.tenant, leaf, leaf + 1)
    return sign_certificate(
        account,
        entry=entry,
        leaf=leaf,
        path=log.inclusion_proof(writing.connection, writing.tenant, leaf, tree.size),
        checkpoint=core.checkpoint(writing.tenant, tree),
        sign=lambda message: core.keys.sign(KeyPurpose.RECEIPT, message),
    )


def _account(
    core: Core, writing: WriteTransaction, voice_id: str, begun_at: float, report: dict[str, Any]
) -> dict[str, Any]:
    days = core.config.backup_horizon_days
    return {
        "controller": core.config.provider,
        "tenant": writing.tenant,
        "voice_id": voice_id,
        "begun_at": begun_at,
        "finished_at": writing.now,
        **report,
        "kept": list(erase.KEPT),
        "prompts": _PROMPTS,
        "backups": {
            "horizon_days": days,
            "gone_by": None if days is None else writing.now + days * _DAY_S,
            "reach": _REACH,
        },
    }

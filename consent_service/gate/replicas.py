"""Replicas: the processes that may be handed a reference, each known by a public key of its own."""

from __future__ import annotations

import hmac

from sqlalchemy import Connection, delete, insert, select

from consent_service.clips import watermarks
from consent_service.core import EVERYONE, Core
from consent_service.errors import NotFound, ReplicaUnknown
from consent_service.ids import REPLICA
from consent_service.ledger.tables import replicas
from consent_service.proofs.seams import KeyPurpose
from consent_service.vault.sealing import node_proof, seal, watermark_info


def register(
    core: Core, replica_id: str, public_key: bytes, proof: bytes, *, node_secret: bytes
) -> dict[str, bytes]:
    """Accept a replica's key on the proof of the node secret; a restart under the same name replaces it."""
    expected = node_proof(node_secret, replica_id, public_key)
    if not hmac.compare_digest(proof, expected) or len(public_key) != 32 or not REPLICA.fullmatch(replica_id):
        raise ReplicaUnknown("the replica does not hold this installation's node secret")
    with core.ledger.write() as connection:
        connection.execute(delete(replicas).where(replicas.c.replica_id == replica_id))
        row = {
            "replica_id": replica_id,
            "tenant": EVERYONE,
            "public_key": public_key,
            "registered_at": core.clock(),
        }
        connection.execute(insert(replicas), row)
    return core.keys.public_keys(KeyPurpose.GRANT)


def replica_key(connection: Connection, replica_id: str) -> bytes:
    """Raises ReplicaUnknown."""
    query = select(replicas.c.public_key).where(replicas.c.replica_id == replica_id)
    key = connection.execute(query).scalar()
    if key is None:
        raise ReplicaUnknown("this replica never registered a key; restart it")
    return bytes(key)


def watermark_key(core: Core, replica_id: str, epoch: int) -> bytes:
    """An epoch's key, sealed to the replica. NotFound (epoch_unknown) for one that has not begun."""
    if not 1 <= epoch <= watermarks.current_epoch(core):
        raise NotFound("no such watermark epoch", code="epoch_unknown")
    with core.ledger.read() as connection:
        public_key = replica_key(connection, replica_id)
    return seal(public_key, core.keys.watermark_key(epoch), watermark_info(epoch, replica_id))

"""Replicas: the processes that may be handed a reference, each known by a public key of its own, and answerable for
the clips that came of the grants it redeemed."""

from __future__ import annotations

import hmac

from sqlalchemy import Connection, delete, insert, select

from consent_service.clips import watermarks
from consent_service.core import EVERYONE, Core
from consent_service.errors import GrantMismatch, NotFound, ReplicaUnknown
from consent_service.grants import Basis
from consent_service.ids import REPLICA, SHA256_HEX
from consent_service.ledger import log
from consent_service.ledger.tables import clips, design_reports, redemptions, replicas
from consent_service.proofs.seams import KeyPurpose
from consent_service.vault.sealing import node_proof, seal, spoken_proof, watermark_info


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


def report_design(
    core: Core, grant_id: str, replica_id: str, proof: bytes, audio_sha256: str, *, node_secret: bytes
) -> None:
    """The replica that redeemed a grant answers for what came of it. Raises GrantMismatch for any other."""
    expected = spoken_proof(node_secret, replica_id, grant_id)
    with core.ledger.read() as connection:
        named = redemptions.c.grant_id == grant_id
        used = connection.execute(select(redemptions).where(named)).mappings().one_or_none()
        if used is None:
            raise NotFound("no such grant was redeemed", code="grant_unknown")
        redeemer = log.entry(connection, used["tenant"], used["leaf"]).get("replica")
        mine = (clips.c.tenant == used["tenant"]) & (clips.c.clip_id == used["clip_id"])
        basis = connection.execute(select(clips.c.basis).where(mine)).scalar()
    if (
        not hmac.compare_digest(expected, proof)
        or redeemer != replica_id
        or not SHA256_HEX.fullmatch(audio_sha256)
    ):
        raise GrantMismatch("the clip does not come from the replica that redeemed its grant")
    if basis != Basis.DESIGN.value:
        return
    with core.write_as(used["tenant"]) as writing:
        own = (design_reports.c.tenant == writing.tenant) & (design_reports.c.clip_id == used["clip_id"])
        before = writing.connection.execute(select(design_reports.c.audio_sha256).where(own)).scalar()
        if before not in (None, audio_sha256):
            raise GrantMismatch("another digest was reported for this clip")
        if before is None:
            row = {
                "clip_id": used["clip_id"],
                "tenant": used["tenant"],
                "grant_id": grant_id,
                "replica_id": replica_id,
                "audio_sha256": audio_sha256,
            }
            writing.connection.execute(insert(design_reports), row)

"""Replicas: the processes that may be handed a reference, each known by a public key of its own, and answerable for
the clips that came of the grants it redeemed."""

from __future__ import annotations

import hmac
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from consent_service.access import Permission
from consent_service.clips import watermarks
from consent_service.core import EVERYONE, Core
from consent_service.errors import GrantMismatch, InvalidInput, NotFound, ReplicaUnknown
from consent_service.grants import Basis
from consent_service.ids import REPLICA, SHA256_HEX
from consent_service.ledger import log
from consent_service.ledger.rows import find_value
from consent_service.ledger.tables import clips, design_reports, redemptions, replicas
from consent_service.models import Principal
from consent_service.proofs.records import KeyPurpose
from consent_service.vault.sealing import load_node_secret, node_proof, seal, spoken_proof, watermark_info

MIN_REPLICA_AGE_S: Final = 3600.0


class Replicas:
    """The replicas of an installation. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        """Register an X25519 key (32 raw bytes); proof is sealing.node_proof(node_secret, replica_id,
        public_key). Returns the grants' public keys. Raises ReplicaUnknown when the proof is wrong."""
        expected = node_proof(self._node_secret(), replica_id, public_key)
        well_formed = len(public_key) == 32 and REPLICA.fullmatch(replica_id)
        if not hmac.compare_digest(proof, expected) or not well_formed:
            raise ReplicaUnknown("the replica does not hold this installation's node secret")
        with self._core.ledger.write() as connection:
            connection.execute(delete(replicas).where(replicas.c.replica_id == replica_id))
            row = {
                "replica_id": replica_id,
                "tenant": EVERYONE,
                "public_key": public_key,
                "registered_at": self._core.clock(),
            }
            connection.execute(insert(replicas), row)
        return self._core.keys.public_keys(KeyPurpose.GRANT)

    def watermark_key(self, replica_id: str, epoch: int) -> bytes:
        """The keyed watermark's key of an epoch, sealed to a registered replica (sealing.watermark_info).
        Raises ReplicaUnknown, NotFound for an epoch that has not begun."""
        if not 1 <= epoch <= watermarks.current_epoch(self._core):
            raise NotFound("no such watermark epoch", code="epoch_unknown")
        with self._core.ledger.read() as connection:
            public_key = _public_key(connection, replica_id)
        return seal(public_key, self._core.keys.watermark_key(epoch), watermark_info(epoch, replica_id))

    def report_design(self, grant_id: str, replica_id: str, proof: bytes, audio_sha256: str) -> None:
        """The replica that redeemed a grant answers for the clip that came of it; proof is
        sealing.spoken_proof(node_secret, replica_id, grant_id). Raises GrantMismatch for any other replica."""
        expected = spoken_proof(self._node_secret(), replica_id, grant_id)
        with self._core.ledger.read() as connection:
            named = redemptions.c.grant_id == grant_id
            used = connection.execute(select(redemptions).where(named)).mappings().one_or_none()
            if used is None:
                raise NotFound("no such grant was redeemed", code="grant_unknown")
            redeemer = log.entry(connection, used["tenant"], used["leaf"]).get("replica")
            basis = find_value(connection, clips.c.basis, used["tenant"], clip_id=used["clip_id"])
        if (
            not hmac.compare_digest(expected, proof)
            or redeemer != replica_id
            or not SHA256_HEX.fullmatch(audio_sha256)
        ):
            raise GrantMismatch("the clip does not come from the replica that redeemed its grant")
        if basis != Basis.DESIGN.value:
            return
        with self._core.write_as(used["tenant"]) as writing:
            before = find_value(
                writing.connection, design_reports.c.audio_sha256, writing.tenant, clip_id=used["clip_id"]
            )
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

    def forget(self, by: Principal, registered_before_s: float) -> int:
        """Delete the keys of replicas that registered longer ago (an hour at least); how many. Needs
        INSTALLATION."""
        if registered_before_s < MIN_REPLICA_AGE_S:
            raise InvalidInput("replicas that registered within the last hour are not forgotten")
        with self._core.write(by, Permission.REPLICA_FORGET) as writing:
            old = replicas.c.registered_at < writing.now - registered_before_s
            gone = writing.connection.execute(delete(replicas).where(old)).rowcount
            if gone:
                writing.log.append("replicas.forgotten", by=by.key_id, replicas=gone)
            return gone

    def _node_secret(self) -> bytes:
        return load_node_secret(self._core.config.data_dir)


def _public_key(connection: Connection, replica_id: str) -> bytes:
    query = select(replicas.c.public_key).where(replicas.c.replica_id == replica_id)
    key = connection.execute(query).scalar()
    if key is None:
        raise ReplicaUnknown("this replica never registered a key; restart it")
    return bytes(key)

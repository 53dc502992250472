"""The identity of a process that holds an engine: its key, the grants it trusts, the watermark keys it has learned.

It does no I/O: a door asks the gate in its own way, awaiting it or not, and hands the answers in. The private key stays
in this process, and so do the watermark keys.

    keys = gate.register_replica(*identity.registration)   at start, and after GrantKeyUnknown
    identity.trust_grant_keys(keys)
    verified = identity.verify(token, utterance)           raises GrantKeyUnknown: keys were rotated since
    redeemed = gate.redeem(token, identity.replica_id)
    if identity.needs_watermark_key(redeemed.watermark): identity.learn_watermark_key(epoch, gate.watermark_key(…))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

from consent_service.grants import GrantVerifier, Utterance, VerifiedGrant
from consent_service.proofs.records import WatermarkTag
from consent_service.vault.sealing import ReplicaKey, spoken_proof, watermark_info
from provenance.keyed.marker import Marker
from speech.errors import EngineUnavailable


class ReplicaIdentity:
    """Of one process. node_secret: `consent_service.vault.sealing.load_node_secret`. Thread-safe."""

    def __init__(
        self, replica_id: str, node_secret: bytes, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.key: Final = ReplicaKey(replica_id)
        self.marker: Final = Marker()
        self._node_secret: Final = node_secret
        self._clock = clock
        self._verifier: GrantVerifier | None = None

    @property
    def replica_id(self) -> str:
        return self.key.replica_id

    @property
    def registration(self) -> tuple[str, bytes, bytes]:
        """What `register_replica` asks for: id, public key and the proof that this process is one of ours."""
        return self.replica_id, self.key.public_bytes, self.key.proof(self._node_secret)

    def trust_grant_keys(self, public_keys: Mapping[str, bytes]) -> None:
        """What `register_replica` answered: key id → 32 raw bytes (Ed25519)."""
        self._verifier = GrantVerifier(public_keys, clock=self._clock)

    def verify(self, token: str, utterance: Utterance) -> VerifiedGrant:
        """Raises GrantError; GrantKeyUnknown means: register again, then try once more. EngineUnavailable before the
        first registration."""
        if self._verifier is None:
            raise EngineUnavailable("this replica is not registered yet")
        return self._verifier.verify(token, utterance)

    def proof_of_synthesis(self, grant_id: str) -> bytes:
        """With this the replica answers for the clip that came of a grant it used up."""
        return spoken_proof(self._node_secret, self.replica_id, grant_id)

    def needs_watermark_key(self, mark: WatermarkTag | None) -> TypeGuard[WatermarkTag]:
        """Whether the key of a clip's epoch must be asked for before the clip can be marked."""
        return mark is not None and not self.marker.knows(mark.epoch)

    def learn_watermark_key(self, epoch: int, sealed: bytes) -> None:
        """sealed: as the gate gives it. Raises VaultError."""
        self.marker.learn(epoch, self.key.open(sealed, watermark_info(epoch, self.replica_id)))

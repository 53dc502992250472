"""A replica's identity: proven by the node secret, trusting the grant keys it was told, showing no key."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.errors import GrantExpired, GrantKeyUnknown, VaultError
from consent_service.grants import Grant, sign_grant
from consent_service.proofs.records import WatermarkTag
from consent_service.vault.sealing import node_proof, seal, spoken_proof, watermark_info
from provenance.errors import StampFailed
from speech.errors import EngineUnavailable
from speech.text import prepare
from synthesis.replica import ReplicaIdentity
from tests.assets.grants import granted

SECRET = bytes(range(32))
UTTERANCE = prepare("Good morning.", "en")
MARK = WatermarkTag(epoch=3, tag=17)


class GrantKey:
    """One grant-signing key of a gate."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._key = Ed25519PrivateKey.generate()
        self.public = {key_id: self._key.public_key().public_bytes_raw()}

    def token(self, grant: Grant) -> str:
        return sign_grant(grant, key_id=self._key_id, sign=self._key.sign)


@pytest.fixture
def identity() -> ReplicaIdentity:
    return ReplicaIdentity("replica-1", SECRET)


def test_a_registration_proves_the_node_secret(identity: ReplicaIdentity) -> None:
    replica_id, public_key, proof = identity.registration
    assert (replica_id, public_key) == ("replica-1", identity.key.public_bytes)
    assert proof == node_proof(SECRET, replica_id, public_key)
    assert ReplicaIdentity("replica-1", bytes(32)).registration[2] != proof


def test_a_replica_answers_for_one_grant_at_a_time(identity: ReplicaIdentity) -> None:
    assert identity.proof_of_synthesis("grant-1") == spoken_proof(SECRET, "replica-1", "grant-1")
    assert identity.proof_of_synthesis("grant-1") != identity.proof_of_synthesis("grant-2")


def test_nothing_is_verified_before_the_first_registration(identity: ReplicaIdentity) -> None:
    with pytest.raises(EngineUnavailable):
        identity.verify(granted(UTTERANCE).token, UTTERANCE)


def test_a_grant_signed_after_a_rotation_verifies_once_the_keys_were_asked_for_again(
    identity: ReplicaIdentity,
) -> None:
    before, after = GrantKey("before"), GrantKey("after")
    grant = granted(UTTERANCE).grant
    identity.trust_grant_keys(before.public)
    assert identity.verify(before.token(grant), UTTERANCE).grant == grant
    with pytest.raises(GrantKeyUnknown):
        identity.verify(after.token(grant), UTTERANCE)
    identity.trust_grant_keys(before.public | after.public)
    assert identity.verify(after.token(grant), UTTERANCE).grant == grant
    assert identity.verify(before.token(grant), UTTERANCE).grant == grant


def test_a_grant_expires_by_the_replicas_clock() -> None:
    grant, key = granted(UTTERANCE).grant, GrantKey("key")
    late = ReplicaIdentity("replica-1", SECRET, clock=lambda: grant.start_by + 0.1)
    late.trust_grant_keys(key.public)
    with pytest.raises(GrantExpired):
        late.verify(key.token(grant), UTTERANCE)


def test_a_watermark_key_is_asked_for_once_an_epoch(identity: ReplicaIdentity) -> None:
    samples = np.full(24_000, 0.1, np.float32)
    assert identity.needs_watermark_key(MARK)
    with pytest.raises(StampFailed):
        identity.marker.mark(samples, MARK)
    sealed = seal(identity.key.public_bytes, bytes(32), watermark_info(MARK.epoch, "replica-1"))
    identity.learn_watermark_key(MARK.epoch, sealed)
    assert not identity.needs_watermark_key(MARK)
    assert identity.needs_watermark_key(WatermarkTag(epoch=4, tag=1))
    assert identity.marker.mark(samples, MARK).shape == samples.shape


def test_a_clip_without_a_tag_needs_no_key_and_cannot_be_marked(identity: ReplicaIdentity) -> None:
    assert not identity.needs_watermark_key(None)
    with pytest.raises(StampFailed):
        identity.marker.mark(np.full(24_000, 0.1, np.float32), None)


def test_a_watermark_key_of_another_epoch_or_replica_does_not_open(identity: ReplicaIdentity) -> None:
    for info in (watermark_info(4, "replica-1"), watermark_info(MARK.epoch, "replica-2")):
        with pytest.raises(VaultError):
            identity.learn_watermark_key(MARK.epoch, seal(identity.key.public_bytes, bytes(32), info))
    assert identity.needs_watermark_key(MARK)


def test_an_identity_neither_shows_its_secret_nor_leaves_its_process(identity: ReplicaIdentity) -> None:
    assert SECRET.hex() not in repr(identity)
    assert repr(SECRET) not in repr(identity)
    with pytest.raises(TypeError):
        pickle.dumps(identity)

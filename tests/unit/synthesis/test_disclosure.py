"""What a clip says of itself, and what the register holds of it, is what its grant says."""

from __future__ import annotations

from dataclasses import fields

import pytest

from consent_service.grants import Basis
from consent_service.proofs.records import WatermarkTag
from consent_service.vault.sealing import ReplicaKey
from provenance.stamp import StampedClip
from speech.engine import EngineInfo
from speech.text import prepare
from synthesis.disclosure import Deployment, disclosure_for, record_for
from tests.assets.grants import granted
from tests.unit.synthesis.redemption import redeemed_for

INFO = EngineInfo("qwen", "model-1", "d" * 64, True, frozenset({"clone"}), ("de",), ())
DEPLOYMENT = Deployment("Acme", "1.2", "cn")
MARK = WatermarkTag(epoch=3, tag=17)
STAMPED = StampedClip(b"data", "a" * 64, 2.5, b"fingerprint")


@pytest.mark.parametrize("basis", Basis)
def test_a_disclosure_says_what_the_grant_says(basis: Basis) -> None:
    grant = granted(prepare("Guten Morgen.", "de"), basis=basis, purpose="narration").grant
    said = disclosure_for(redeemed_for(grant, ReplicaKey("r"), mark=MARK), INFO, DEPLOYMENT, 12.0)
    named_alike = ("clip_id", "voice_id", "consent_id", "consent_version", "purpose", "language")
    assert all(getattr(said, name) == getattr(grant, name) for name in named_alike)
    assert said.basis == basis.value
    assert (said.audit_leaf, said.checkpoint, said.keyed_epoch) == (7, "checkpoint", 3)
    assert (said.engine, said.model, said.model_digest, said.is_clone) == ("qwen", "model-1", "d" * 64, True)
    assert (said.provider, said.system_version, said.profile, said.generated_at) == (
        "Acme",
        "1.2",
        "cn",
        12.0,
    )


def test_a_disclosure_of_a_clip_without_a_keyed_mark_names_no_epoch() -> None:
    grant = granted(prepare("Good morning.", "en")).grant
    assert disclosure_for(redeemed_for(grant, ReplicaKey("r")), INFO, DEPLOYMENT, 12.0).keyed_epoch is None


def test_a_record_holds_the_grant_the_file_and_its_copies() -> None:
    grant = granted(prepare("Good morning.", "en")).grant
    record = record_for(redeemed_for(grant, ReplicaKey("r"), mark=MARK), STAMPED, ("file:///c.wav",), 12.0)
    assert (record.clip_id, record.tenant, record.grantee) == (grant.clip_id, grant.tenant, grant.grantee)
    assert (record.audio_sha256, record.seconds, record.fingerprint) == ("a" * 64, 2.5, b"fingerprint")
    assert (record.objects, record.created_at, record.audit_leaf) == (("file:///c.wav",), 12.0, 7)
    assert (record.watermark, record.state) == (MARK, "live")
    assert all(getattr(record, field.name) is not None for field in fields(record))

"""What a clip says of itself, and what the register holds of it: both follow from the grant that was used up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consent_service.models import Redeemed
from consent_service.proofs.records import ClipRecord
from provenance.disclosure import Disclosure
from provenance.stamp import StampedClip
from speech.engine import EngineInfo


@dataclass(frozen=True, slots=True)
class Deployment:
    """Who answers for the clips made here. profile: name of the disclosure profile."""

    provider: str
    system_version: str
    profile: str


def disclosure_for(redeemed: Redeemed, engine: EngineInfo, deployment: Deployment, now: float) -> Disclosure:
    """now: Unix seconds, when the clip was generated."""
    grant, mark = redeemed.grant, redeemed.watermark
    return Disclosure(
        clip_id=grant.clip_id,
        voice_id=grant.voice_id,
        basis=grant.basis.value,
        consent_id=grant.consent_id,
        consent_version=grant.consent_version,
        purpose=grant.purpose,
        language=grant.language,  # a verified grant's is the utterance's
        generated_at=now,
        provider=deployment.provider,
        system_version=deployment.system_version,
        engine=engine.name,
        model=engine.model,
        model_digest=engine.model_digest,
        is_clone=engine.is_clone,
        audit_leaf=redeemed.audit_leaf,
        checkpoint=redeemed.checkpoint,
        profile=deployment.profile,
        keyed_epoch=None if mark is None else mark.epoch,
    )


def record_for(redeemed: Redeemed, stamped: StampedClip, objects: tuple[str, ...], now: float) -> ClipRecord:
    """For `register_clip`. objects: URIs of every copy, before any can be found; now: Unix seconds."""
    return replace(
        redeemed.clip_record(created_at=now),
        audio_sha256=stamped.sha256,
        seconds=stamped.seconds,
        objects=objects,
        fingerprint=stamped.fingerprint,
    )

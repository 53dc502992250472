"""A redemption as the gate answers it, with a reference sealed to a replica."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from consent_service.grants import Basis, Grant
from consent_service.models import Redeemed
from consent_service.proofs.records import WatermarkTag
from consent_service.vault.sealing import ReplicaKey, pack_reference, reference_info, seal


def redeemed_for(
    grant: Grant, key: ReplicaKey, *, wav: bytes | None = None, mark: WatermarkTag | None = None
) -> Redeemed:
    """wav: the reference; a stereo tone by default."""
    sealed = None
    if grant.basis in (Basis.CONSENT, Basis.DESIGNED):
        info = reference_info(grant.grant_id, key.replica_id)
        sealed = seal(key.public_bytes, pack_reference(wav or stereo_wav(), "what it says"), info)
    return Redeemed(grant, 7, "checkpoint", sealed, mark)


def stereo_wav() -> bytes:
    """0.1 s at 16 kHz; left 0.5, right 0.25."""
    buffer = io.BytesIO()
    samples = np.tile(np.array([[0.5, 0.25]], np.float32), (1_600, 1))
    soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()

"""A clip of ours in another format: the same sound and marks, and the clip's own manifest inside the new one.

It says what its clip said, under an id of its own: the consent is the clip's, found by walking to it. Only what left
here may come here, since it is decoded in this process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import soxr

from consent_service.proofs.seams import ManifestSigner
from provenance.audio import Recording
from provenance.derive import Signed, derive, whole
from provenance.errors import StampFailed
from provenance.formats.catalogue import FORMATS, MULAW, PCM, WAV, Format
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery
from provenance.labels.aigc import aigc_label
from provenance.marking import Marking
from provenance.trust import TrustContext

_WAVE_FORMAT_MULAW: Final = (7).to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Original:
    """A clip as it left. seconds: how long it is, from which the rate of raw samples follows."""

    signed: Signed
    media_type: str
    seconds: float


def transcode(
    clip: Original,
    wanted: Delivery,
    clip_id: str,
    now: float,
    *,
    marking: Marking,
    signer: ManifestSigner,
    trust: TrustContext,
) -> Signed | None:
    """None where it is that already. clip_id: the new file's own; now: Unix seconds. Raises StampFailed."""
    said = whole(clip.signed, trust)
    form, heard = _heard(clip)
    if (form, heard.sample_rate) == (wanted.format, wanted.sample_rate):
        return None
    disclosure = replace(said, clip_id=clip_id, generated_at=now)
    samples = np.clip(soxr.resample(heard.samples, heard.sample_rate, wanted.sample_rate), -1.0, 1.0)
    made, marked = marking.encoded_again(samples.astype(np.float32), wanted, aigc_label(disclosure))
    return derive([clip.signed], made, disclosure, signer=signer, trust=trust, marked=marked)


def _heard(clip: Original) -> tuple[Format, Recording]:
    data = clip.signed.data
    form = next((one for one in FORMATS.values() if one.media_type == clip.media_type), None)
    if form is None:
        raise StampFailed("the clip is in a format that nothing here makes")
    if form is WAV and data[20:22] == _WAVE_FORMAT_MULAW:
        form = MULAW
    return form, decode_own(data, form, _rate(data, clip.seconds) if form is PCM else form.rates[0])


def _rate(pcm: bytes, seconds: float) -> int:
    """Raw samples say nothing of their rate."""
    return min(PCM.rates, key=lambda rate: abs(len(pcm) / 2 / rate - seconds))

"""A clip of ours in another format: the same sound and marks, and the clip's own manifest inside the new one.

It says what its clip said, under an id of its own: the consent is the clip's, found by walking to it. Only what left
here may come here, since it is decoded in this process.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Final

import av
import numpy as np
import soundfile
import soxr

from consent_service.proofs.protocols import ManifestSigner
from provenance.audio import Recording
from provenance.derive import Signed, derive, whole
from provenance.errors import StampFailed
from provenance.formats.catalogue import FORMATS, M4A, MULAW, PCM, WAV, Format
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
    if is_already(clip, wanted):
        return None
    said = whole(clip.signed, trust)
    heard = _heard(clip)
    disclosure = replace(said, clip_id=clip_id, generated_at=now)
    samples = np.clip(soxr.resample(heard.samples, heard.sample_rate, wanted.sample_rate), -1.0, 1.0)
    made, marked = marking.encoded_again(samples.astype(np.float32), wanted, aigc_label(disclosure))
    return derive(
        [clip.signed],
        made,
        disclosure,
        signer=signer,
        trust=trust,
        marked=marked,
        media_type=wanted.format.media_type,
    )


def is_already(clip: Original, wanted: Delivery) -> bool:
    """Whether the clip left in that format and at that rate: by its header, without decoding it. Raises StampFailed."""
    form = _format(clip)
    return form is wanted.format and _rate(clip, form) == wanted.sample_rate


def _heard(clip: Original) -> Recording:
    form = _format(clip)
    return decode_own(clip.signed.data, form, _raw_rate(clip) if form is PCM else form.rates[0])


def _format(clip: Original) -> Format:
    form = next((one for one in FORMATS.values() if one.media_type == clip.media_type), None)
    if form is None:
        raise StampFailed("the clip is in a format that nothing here makes")
    if form is WAV and clip.signed.data[20:22] == _WAVE_FORMAT_MULAW:
        form = MULAW
    return form


def _rate(clip: Original, form: Format) -> int:
    data = io.BytesIO(clip.signed.data)
    try:
        if form is PCM:
            return _raw_rate(clip)
        if form is not M4A:
            return int(soundfile.info(data).samplerate)
        with av.open(data, format="mov") as container:
            return int(container.streams.audio[0].rate)
    except (soundfile.LibsndfileError, av.FFmpegError, IndexError):
        raise StampFailed("the clip's header cannot be read") from None


def _raw_rate(clip: Original) -> int:
    """Raw samples say nothing of their rate."""
    pcm, seconds = clip.signed.data, clip.seconds
    return min(PCM.rates, key=lambda rate: abs(len(pcm) / 2 / rate - seconds))

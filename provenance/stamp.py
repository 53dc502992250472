"""Marks a finished clip: loudness → presence watermark → encoding with label → signed C2PA manifest → read again
(DESIGN I4).

There is no way to skip a mark. What leaves is what was read back and found trusted, whole and carrying the mark and
the label; anything else raises StampFailed and nothing leaves. The private key never enters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import soxr

from consent_service.proofs.protocols import ManifestSigner
from provenance.audio import Samples, check_samples
from provenance.derive import Signed
from provenance.disclosure import Disclosure
from provenance.errors import StampFailed
from provenance.fingerprint import SAMPLE_RATE as FINGERPRINT_RATE
from provenance.fingerprint import fingerprint
from provenance.formats.catalogue import WAV, Format
from provenance.formats.delivery import Delivery
from provenance.labels.aigc import aigc_label
from provenance.labels.token import issue
from provenance.loudness import normalise
from provenance.marking import Marking
from provenance.profiles.profile import load_profile
from provenance.transcode import Original, transcode
from provenance.writing import ManifestWriter


@dataclass(frozen=True, slots=True)
class StampedClip:
    """A complete, marked file. `sha256` is over `data`, in hex; `manifest` is there where it is not inside."""

    data: bytes = field(repr=False)
    sha256: str
    seconds: float
    fingerprint: bytes = field(repr=False)  # what it sounds like, for the register
    format: Format = WAV
    manifest: bytes | None = field(default=None, repr=False)

    @property
    def media_type(self) -> str:
        return self.format.media_type


class Stamper:
    """Stamps clips in one process; thread-safe, picklable where its signer is."""

    def __init__(self, signer: ManifestSigner) -> None:
        self._signer = signer
        self._marking = Marking()
        self._writer = ManifestWriter(signer)

    def __reduce__(self) -> tuple[type[Stamper], tuple[ManifestSigner]]:
        return (type(self), (self._signer,))

    def warm_up(self) -> None:
        """Load the watermark's weights, so that the first clip is not slow."""
        self._marking.warm_up()

    def stamp(
        self, samples: Samples, sample_rate: int, disclosure: Disclosure, wanted: Delivery | None = None
    ) -> StampedClip:
        """samples: float32[n], mono, −1…1, at `sample_rate` Hz. wanted: None for a WAV file at that rate.

        Raises StampFailed (codes: stamp_failed, clip_silent, clip_too_short) or ProfileInvalid; then nothing may
        leave.
        """
        check_samples(samples, sample_rate)  # before any work is spent on what is not a clip
        load_profile(disclosure.profile)
        wanted = wanted or Delivery(WAV, sample_rate)
        with _stamping("the clip could not be marked"):
            label = aigc_label(disclosure)
            data = self._marking.encoded(_prepared(samples, sample_rate, wanted), wanted, label)
            data, sidecar = self._sign(data, wanted.format, disclosure)
        return _stamped(data, samples, sample_rate, wanted.format, sidecar)

    def transcode(self, clip: Original, wanted: Delivery, clip_id: str, now: float) -> Signed | None:
        """A clip that left here, in another format and under an id of its own, with its manifest inside the new one;
        None where it is that already. now: Unix seconds. Raises StampFailed; then nothing may leave."""
        with _stamping("the clip could not be transcoded"):
            trust = self._writer.trust()
            return transcode(
                clip, wanted, clip_id, now, marking=self._marking, signer=self._signer, trust=trust
            )

    def announce(self, disclosure: Disclosure) -> str:
        """The signed token that goes before a stream's first byte. Raises StampFailed; then nothing may be sent."""
        load_profile(disclosure.profile)
        with _stamping("the stream could not be announced"):
            return issue(disclosure, self._writer.leaves)

    def stamp_stream(
        self, samples: Samples, sample_rate: int, sent: bytes, form: Format, disclosure: Disclosure
    ) -> StampedClip:
        """What has become of a stream that ended, was cut or was left: a manifest over exactly the bytes sent.

        samples: what was spoken of it, with the keyed mark; sent: the same, encoded, as it went out after its token.
        Raises StampFailed.
        """
        check_samples(samples, sample_rate)
        with _stamping("the stream could not be signed"):
            sidecar = self._writer.detach(sent, form.media_type, disclosure, presence=False)
        return _stamped(sent, samples, sample_rate, form, sidecar)

    def _sign(self, data: bytes, form: Format, disclosure: Disclosure) -> tuple[bytes, bytes | None]:
        if form.embeds_manifest:
            return self._writer.embed(data, form.media_type, disclosure), None
        return data, self._writer.detach(data, form.media_type, disclosure)


@contextmanager
def _stamping(failed: str) -> Iterator[None]:
    """Whatever goes wrong within is StampFailed: `failed`, and the error's type."""
    try:
        yield
    except StampFailed:
        raise
    except Exception as exc:
        raise StampFailed(f"{failed} ({type(exc).__name__})") from exc


def _stamped(
    data: bytes, samples: Samples, sample_rate: int, form: Format, sidecar: bytes | None
) -> StampedClip:
    sounds = fingerprint(_resampled(samples, sample_rate, FINGERPRINT_RATE))
    digest = hashlib.sha256(data).hexdigest()
    return StampedClip(data, digest, samples.size / sample_rate, sounds, form, sidecar)


def _prepared(samples: Samples, sample_rate: int, wanted: Delivery) -> Samples:
    """At the rate and loudness of the file, before it is marked."""
    resampled = _resampled(samples, sample_rate, wanted.sample_rate)
    return resampled if wanted.loudness is None else normalise(resampled, wanted.sample_rate, wanted.loudness)


def _resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted:
        return samples
    resampled: Samples = np.clip(soxr.resample(samples, rate, wanted), -1.0, 1.0)
    return resampled

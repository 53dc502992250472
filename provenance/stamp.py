"""Marks a finished clip: presence watermark → WAV → signed C2PA manifest → read again (DESIGN I4).

There is no way to skip a step. What leaves is what was read back and found trusted, whole and carrying the
mark; anything else raises StampFailed and nothing leaves. The private key never enters: only bytes to be
signed leave.
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass, field
from typing import Final

import c2pa
import numpy as np
import soxr

from consent_service.proofs.seams import ManifestSigner
from provenance import container
from provenance.audio import WAV, Limits, Samples, decode, encode_wav
from provenance.disclosure import Disclosure
from provenance.errors import StampFailed
from provenance.fingerprint import SAMPLE_RATE as RATE
from provenance.fingerprint import fingerprint
from provenance.manifest import assertion, definition
from provenance.presence import HOLDS, PresenceMark
from provenance.reading import read_manifest
from provenance.trust import TrustContext

# One word of a third of a second sometimes scores under the threshold; louder, the mark holds there too.
_STRENGTHS: Final = (1.0, 1.5, 2.0, 3.0)
_CERTIFICATE_END: Final = b"-----END CERTIFICATE-----"
_UNBOUNDED: Final = Limits(max_bytes=1 << 32, max_seconds=float(1 << 20), max_frames=1 << 31)


@dataclass(frozen=True, slots=True)
class StampedClip:
    """A complete, marked file. `sha256` is over `data`, in hex."""

    data: bytes = field(repr=False)
    sha256: str
    seconds: float
    fingerprint: bytes = field(repr=False)  # what it sounds like, for the register
    media_type: str = WAV


class Stamper:
    """Stamps clips in one process; thread-safe, picklable where its signer is.

    signer: signs the manifests; its chain's last certificate is the root that the re-reading trusts.
    """

    def __init__(self, signer: ManifestSigner) -> None:
        self._signer = signer
        self._presence = PresenceMark()
        self._lock = threading.Lock()
        self._trust: TrustContext | None = None

    def __reduce__(self) -> tuple[type[Stamper], tuple[ManifestSigner]]:
        return (type(self), (self._signer,))

    def warm_up(self) -> None:
        """Load the watermark's weights, so that the first clip is not slow."""
        self._presence.detect(np.full(16_000, 0.1, np.float32), 16_000)

    def stamp(self, samples: Samples, sample_rate: int, disclosure: Disclosure) -> StampedClip:
        """samples: float32[n], mono, −1…1, at `sample_rate` Hz; the clip keeps length and rate.

        Raises StampFailed (codes: stamp_failed, clip_silent, clip_too_short); then nothing may leave.
        """
        encode_wav(samples, sample_rate)  # refuses what is not a clip before any work is spent on it
        try:
            data = self._sign(self._mark(samples, sample_rate), disclosure)
        except StampFailed:
            raise
        except Exception as exc:
            raise StampFailed(f"the clip could not be marked ({type(exc).__name__})") from exc
        sounds = fingerprint(samples if sample_rate == RATE else soxr.resample(samples, sample_rate, RATE))
        return StampedClip(data, hashlib.sha256(data).hexdigest(), samples.size / sample_rate, sounds)

    def _mark(self, samples: Samples, sample_rate: int) -> bytes:
        for strength in _STRENGTHS:
            wav = encode_wav(self._presence.embed(samples, sample_rate, strength=strength), sample_rate)
            # Measured after the rounding to 16 bits: the mark that counts is the one in the file.
            recording = decode(wav, _UNBOUNDED)
            if self._presence.detect(recording.samples, recording.sample_rate) >= HOLDS:
                return wav
        raise StampFailed("the presence mark did not hold in this clip")

    def _sign(self, wav: bytes, disclosure: Disclosure) -> bytes:
        # Asked for every clip: the leaf may be rotated while we run, and the provider keeps it at hand.
        chain = self._signer.certificate_chain()
        trust = self._trusting(chain)
        data = self._embed_manifest(wav, disclosure, chain, trust)
        _check_signed(data, disclosure, trust)
        return data

    def _embed_manifest(self, wav: bytes, disclosure: Disclosure, chain: bytes, trust: TrustContext) -> bytes:
        failed: list[Exception] = []

        def sign(message: bytes) -> bytes:
            # c2pa logs what a callback raises and goes on; keep it here and give back "no signature" instead.
            try:
                return self._signer.sign_manifest(message)
            except Exception as exc:  # noqa: BLE001 - re-raised below
                failed.append(exc)
                return b""

        out = io.BytesIO()
        try:
            with (
                c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, chain.decode("ascii")) as signer,
                c2pa.Builder(definition(disclosure), context=trust.context()) as builder,
            ):
                builder.sign(signer, WAV, io.BytesIO(wav), out)
        except c2pa.C2paError as exc:
            cause = failed[0] if failed else exc
            raise StampFailed(f"the manifest could not be signed ({type(cause).__name__})") from cause
        return out.getvalue()

    def _trusting(self, chain: bytes) -> TrustContext:
        root = chain.rstrip().removesuffix(_CERTIFICATE_END).rpartition(_CERTIFICATE_END)[2].strip()
        anchor = root + b"\n" + _CERTIFICATE_END + b"\n"
        with self._lock:
            if self._trust is None or self._trust.anchor != anchor:
                self._trust = TrustContext(anchor)
            return self._trust


def _check_signed(data: bytes, disclosure: Disclosure, trust: TrustContext) -> None:
    """c2pa does not check the asset's hash after signing, so read back what would leave."""
    reading = read_manifest(data, trust)
    if reading is None:
        raise StampFailed("the signed clip carries no manifest that can be read")
    if reading.state != "Trusted" or reading.failures or not reading.asset_matches:
        raise StampFailed(f"the signed clip does not verify ({', '.join(reading.failures) or reading.state})")
    if reading.assertion != assertion(disclosure):
        raise StampFailed("the signed clip does not say what it should")
    found = container.fault(data)
    if found is not None:
        raise StampFailed(f"the signed clip has bytes that nothing covers ({found})")

"""What marking a clip costs, against its two ingredients alone: Perth's watermark, and c2pa's signature."""

from __future__ import annotations

import contextlib
import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import c2pa

from consent_service.proofs.seams import KeyProvider
from provenance.audio import WAV, encode_wav
from provenance.disclosure import Disclosure
from provenance.manifest import definition
from provenance.stamp import Stamper
from provenance.torchaudio_cpu import import_torchaudio
from provenance.trust import TrustContext
from speech.engine import SAMPLE_RATE, Samples
from vouch.bench.figures import Figure, rates
from vouch.bench.house import hum, temporary_house


def measure(seconds: float, *, clip_seconds: float = 10.0) -> Iterator[Figure]:
    """Seconds of audio per second: the whole stamp (embed, detect, encode, sign, read again), and each peer."""
    with temporary_house() as house:
        keys = house.service.keys
        samples, stamper = hum(clip_seconds), Stamper(keys)

        def stamp() -> float:
            stamper.stamp(samples, SAMPLE_RATE, _disclosure())
            return clip_seconds

        perth, sign = _perth(samples), _c2pa(samples, keys)
        ours, marked, signed = rates(
            [stamp, lambda: perth(clip_seconds), lambda: sign(clip_seconds)], seconds
        )
        case = f"wav-{clip_seconds:g}s"
        yield Figure("stamp", case, ours, "x real time", "resemble-perth", marked)
        yield Figure("stamp", case, ours, "x real time", "c2pa-sign", signed)


def _perth(samples: Samples) -> Callable[[float], float]:
    """The package as its README has it, resampling included."""
    import_torchaudio()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        from perth.perth_net.perth_net_implicit.perth_watermarker import PerthImplicitWatermarker

    with contextlib.redirect_stdout(io.StringIO()):  # it prints; standard output belongs to the figures
        watermarker: Any = PerthImplicitWatermarker()

    def apply(amount: float) -> float:
        watermarker.apply_watermark(samples, sample_rate=SAMPLE_RATE)
        return amount

    return apply


def _c2pa(samples: Samples, keys: KeyProvider) -> Callable[[float], float]:
    """The same manifest, the same key: Builder.sign and nothing else."""
    recording = encode_wav(samples, SAMPLE_RATE)
    context = TrustContext(keys.trust_anchor()).context()
    chain = keys.certificate_chain().decode("ascii")

    def sign(amount: float) -> float:
        with (
            c2pa.Signer.from_callback(keys.sign_manifest, c2pa.C2paSigningAlg.ES256, chain) as signer,
            c2pa.Builder(definition(_disclosure()), context=context) as builder,
        ):
            builder.sign(signer, WAV, io.BytesIO(recording), io.BytesIO())
        return amount

    return sign


def _disclosure() -> Disclosure:
    return Disclosure(
        clip_id=os.urandom(16).hex(),
        voice_id="design",
        basis="design",
        consent_id=None,
        consent_version=None,
        purpose="narration",
        language="en",
        generated_at=time.time(),
        provider="benchmark",
        system_version="0",
        engine="benchmark",
        model="hum",
        model_digest="0" * 64,
        is_clone=False,
        audit_leaf=0,
        checkpoint="benchmark\n",
    )

"""What marking a clip costs on one core: both watermarks, encoding, label and signature, as a share of real time.

Beside it, in the same run, its two ingredients alone: Perth's watermark as its package has it, and c2pa's signature. A
stream's first chunk is measured apart: what a listener waits for is the keyed mark, the encoder and the signed token.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import c2pa

from consent_service.proofs.protocols import KeyProvider
from consent_service.proofs.records import WatermarkTag
from foundation.torchaudio_cpu import import_torchaudio
from provenance.disclosure import Disclosure
from provenance.formats.catalogue import FORMATS, OPUS, PCM, Format
from provenance.formats.delivery import Delivery
from provenance.formats.encode import encode
from provenance.formats.live import live_encoder
from provenance.keyed.marker import Marker
from provenance.labels.aigc import aigc_label
from provenance.manifest import definition
from provenance.stamp import Stamper
from provenance.trust import TrustContext
from speech.engine import SAMPLE_RATE, Samples
from vouch.bench.figures import Figure, Work, rates
from vouch.bench.house import hum, temporary_house

UNIT: Final = "share of real time"
_MARK: Final = WatermarkTag(1, 0x5A5A5A)
_FIRST_CHUNK_S: Final = 0.32  # four codec frames
_DETACHED: Final = "application/octet-stream"


def measure(seconds: float, *, clip_seconds: float = 10.0) -> Iterator[Figure]:
    """Per format, ours beside Perth alone and c2pa alone; then a stream's first chunk, beside encoding alone."""
    with temporary_house() as house, _one_core():
        samples, keys = hum(clip_seconds), house.service.keys
        bench = _Bench(samples, keys)
        perth = _perth(samples)
        each = seconds / (len(FORMATS) + 1)
        for form in FORMATS.values():
            # Clips per second that one core computes; turned into the share of real time that one takes.
            ours, marked, signed = (
                1 / (rate * clip_seconds)
                for rate in _computed([bench.stamp(form), perth, bench.sign(form)], each)
            )
            case = f"{form.name}-{clip_seconds:g}s"
            yield Figure("stamp", case, ours, UNIT, "resemble-perth", marked, less_is_better=True)
            yield Figure("stamp", case, ours, UNIT, "c2pa-sign", signed, less_is_better=True)
        for form in (PCM, OPUS):
            whole, bare = (
                1e3 / rate for rate in _computed([bench.first_chunk(form), bench.bare_chunk(form)], each / 2)
            )
            case = f"first-chunk-{form.name}-{_FIRST_CHUNK_S * 1e3:g}ms"
            yield Figure("stamp", case, whole, "ms", "encoder-alone", bare, less_is_better=True)


def _computed(works: list[Work], seconds: float) -> list[float]:
    return rates(works, seconds, clock=time.process_time)


class _Bench:
    """Works, each over the same clip and doing one piece."""

    def __init__(self, samples: Samples, keys: KeyProvider) -> None:
        self._samples, self._keys = samples, keys
        self._stamper, self._marker = Stamper(keys), Marker()
        self._marker.learn(_MARK.epoch, keys.watermark_key(_MARK.epoch))
        self._context = TrustContext(keys.trust_anchor()).context()
        self._chain = keys.certificate_chain().decode("ascii")
        self._label = aigc_label(_disclosure())

    def stamp(self, form: Format) -> Work:
        """The whole of it: keyed mark, presence mark, encoding with label, signature, reading back."""
        wanted = Delivery(form, form.rates[0])

        def work() -> float:
            marked = self._marker.mark(self._samples, _MARK)
            self._stamper.stamp(marked, SAMPLE_RATE, _disclosure(), wanted)
            return 1.0

        return work

    def sign(self, form: Format) -> Work:
        """The same manifest, the same key: Builder.sign and nothing else."""
        recording = encode(self._samples, form, form.rates[0], self._label)
        media_type = form.media_type if form.embeds_manifest else _DETACHED

        def work() -> float:
            with (
                c2pa.Signer.from_callback(
                    self._keys.sign_manifest, c2pa.C2paSigningAlg.ES256, self._chain
                ) as signer,
                c2pa.Builder(definition(_disclosure(), form.media_type), context=self._context) as builder,
            ):
                if not form.embeds_manifest:
                    builder.set_no_embed()
                builder.sign(signer, media_type, io.BytesIO(recording), io.BytesIO())
            return 1.0

        return work

    def first_chunk(self, form: Format) -> Work:
        """All that lies between a listener and the first chunk once it is spoken: mark, encoder, token."""
        chunk = self._samples[: int(_FIRST_CHUNK_S * SAMPLE_RATE)]
        wanted = Delivery(form, form.rates[0])

        def work() -> float:
            token = self._stamper.announce(_disclosure())
            sent = live_encoder(wanted, SAMPLE_RATE, self._label).feed(
                self._marker.embedder(_MARK).feed(chunk)
            )
            return float(bool(token and sent))

        return work

    def bare_chunk(self, form: Format) -> Work:
        chunk = self._samples[: int(_FIRST_CHUNK_S * SAMPLE_RATE)]
        wanted = Delivery(form, form.rates[0])
        return lambda: float(bool(live_encoder(wanted, SAMPLE_RATE, self._label).feed(chunk)))


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """As a stamper has in a deployment; afterwards as before."""
    import torch

    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(cores)})
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, cores)


def _perth(samples: Samples) -> Work:
    """The package as its README has it, resampling included."""
    import_torchaudio()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        from perth.perth_net.perth_net_implicit.perth_watermarker import PerthImplicitWatermarker

    with contextlib.redirect_stdout(io.StringIO()):  # it prints; standard output belongs to the figures
        watermarker: Any = PerthImplicitWatermarker()
    apply: Callable[..., Any] = watermarker.apply_watermark

    def work() -> float:
        apply(samples, sample_rate=SAMPLE_RATE)
        return 1.0

    return work


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
        keyed_epoch=_MARK.epoch,
    )

"""The keyed mark leads back to its clip from every format that a clip can leave in, telephone quality included."""

from __future__ import annotations

import numpy as np
import pytest

from consent_service.proofs.records import WatermarkTag
from provenance.audio import Samples
from provenance.fingerprint import MATCHES, similarity
from provenance.formats.catalogue import FORMATS, Format
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery
from provenance.keyed.marker import Marker
from provenance.keyed.search import find_mark
from provenance.stamp import Stamper
from speech.config import EngineConfig
from speech.engine import SAMPLE_RATE, CustomVoiceRequest
from speech.load import load_engine
from speech.text import prepare
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import a_disclosure

KEY, MARK = b"k" * 32, WatermarkTag(1, 0x12_34_56)
OFFERED = [(form, rate) for form in FORMATS.values() for rate in form.rates]


@pytest.fixture(scope="module")
def spoken() -> Samples:
    """A sentence with its keyed mark, as it leaves a replica."""
    engine, marker = load_engine(EngineConfig(name="embedded")), Marker()
    marker.learn(MARK.epoch, KEY)
    said = prepare("The lamp was lit and the house was quiet, as it had been for a long time before.", "en")
    chunks = list(engine.start(CustomVoiceRequest("grant", said, engine.info.speakers[0], 1)))
    engine.close()
    return marker.mark(np.concatenate(chunks), MARK)


@pytest.fixture(scope="module")
def stamper() -> Stamper:
    return Stamper(Authority.create().signer)


@pytest.mark.parametrize(("form", "rate"), OFFERED, ids=lambda one: getattr(one, "name", one))
def test_the_tag_and_the_fingerprint_are_in_what_leaves(
    spoken: Samples, stamper: Stamper, form: Format, rate: int
) -> None:
    clip = stamper.stamp(spoken, SAMPLE_RATE, a_disclosure(keyed_epoch=1), Delivery(form, rate))
    heard = decode_own(clip.data, form, rate)
    found = find_mark(heard.samples, heard.sample_rate, {MARK.epoch: KEY})
    assert found is not None
    assert found.mark == MARK
    alike = similarity(
        clip.fingerprint,
        found.samples,
        time_scale=found.reading.time_scale,
        frequency_scale=found.reading.frequency_scale,
    )
    assert alike >= MATCHES

"""Any byte of any stamped file, flipped anywhere, is caught: by C2PA's hash, its signature, or the container's shape.

Short here, 2,000 flips for each format in the long form. None was found that is not covered; were one found, this names
its place.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from provenance import container
from provenance.formats.catalogue import FORMATS, Format
from provenance.formats.delivery import Delivery
from provenance.reading import read_manifest
from provenance.stamp import Stamper
from provenance.trust import TrustContext
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def stamper(authority: Authority) -> Stamper:
    return Stamper(authority.signer)


def missed(stamper: Stamper, authority: Authority, form: Format, flips: int) -> Iterator[str]:
    trust, chance = TrustContext(authority.root_pem), random.Random(form.name)
    clip = stamper.stamp(speech_like(0.4), RATE, a_disclosure(keyed_epoch=1), Delivery(form, form.rates[0]))
    beside = clip.manifest or b""
    for _ in range(flips):
        at = chance.randrange(len(clip.data) + len(beside))
        whole = bytearray(clip.data + beside)
        whole[at] ^= chance.randrange(1, 256)
        data, sidecar = bytes(whole[: len(clip.data)]), bytes(whole[len(clip.data) :]) or None
        reading = read_manifest(data, trust, media_type=form.media_type, sidecar=sidecar)
        caught = (
            reading is None
            or reading.state != "Trusted"
            or not reading.asset_matches
            or container.fault(data, sidecar) is not None
        )
        if not caught:
            yield f"{form.name}: byte {at} of {len(clip.data)} + {len(beside)}"


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_hundred_flips_are_caught(stamper: Stamper, authority: Authority, form: Format) -> None:
    assert not list(missed(stamper, authority, form, 100))


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_two_thousand_flips_are_caught(stamper: Stamper, authority: Authority, form: Format) -> None:
    assert not list(missed(stamper, authority, form, 2_000))

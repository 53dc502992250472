"""A leaf that is renewed while a clip is being signed costs nobody the clip."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from provenance.errors import StampFailed
from provenance.formats.catalogue import OPUS, WAV, Format
from provenance.formats.delivery import Delivery
from provenance.labels import token as tokens
from provenance.signing import LeafChanged, SigningLeaf
from provenance.stamp import Stamper
from provenance.verify import Origin, Verifier
from tests.unit.provenance.authority import Authority, MemorySigner
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like


@dataclass
class Renewing:
    """Tells the chain of one leaf after another, and signs with another than it told, as often as there are any."""

    told: Iterator[MemorySigner]
    signing: Iterator[MemorySigner]
    asked: int = field(default=0)

    def certificate_chain(self) -> bytes:
        self.asked += 1
        return next(self.told).certificate_chain()

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return next(self.signing).sign_manifest(message)


@pytest.fixture
def later(authority: Authority) -> MemorySigner:
    now = datetime.now(UTC)
    return authority.leaf(now - timedelta(days=1), now + timedelta(days=30))


def renewed_meanwhile(authority: Authority, later: MemorySigner) -> Renewing:
    return Renewing(itertools.chain([authority.signer], itertools.repeat(later)), itertools.repeat(later))


@pytest.mark.parametrize("form", [WAV, OPUS], ids=["embedded", "detached"])
def test_a_clip_whose_leaf_is_renewed_while_it_is_signed_is_signed_under_the_new_one(
    authority: Authority, later: MemorySigner, form: Format
) -> None:
    signer = renewed_meanwhile(authority, later)
    clip = Stamper(signer).stamp(speech_like(0.2), RATE, a_disclosure(), Delivery(form, form.rates[0]))
    assert Verifier(authority.root_pem).verify(clip.data, clip.manifest).origin is Origin.OURS
    assert signer.asked == 2


def test_a_stream_whose_leaf_is_renewed_while_it_is_announced_is_announced_under_the_new_one(
    authority: Authority, later: MemorySigner
) -> None:
    disclosure = a_disclosure(generated_at=datetime.now(UTC).timestamp())
    token = Stamper(renewed_meanwhile(authority, later)).announce(disclosure)
    assert tokens.verify(token, authority.root_pem).clip_id == disclosure.clip_id


def test_a_chain_is_asked_for_once_and_again_after_a_renewal(
    authority: Authority, later: MemorySigner
) -> None:
    """Two clips under the first leaf, two under the next."""
    signing = itertools.chain([authority.signer] * 2, itertools.repeat(later))
    signer = Renewing(itertools.chain([authority.signer], itertools.repeat(later)), signing)
    stamper = Stamper(signer)
    asked = []
    for _ in range(4):
        clip = stamper.stamp(speech_like(0.2), RATE, a_disclosure())
        assert Verifier(authority.root_pem).verify(clip.data).origin is Origin.OURS
        asked.append(signer.asked)
    assert asked == [1, 1, 2, 2]


def test_gates_that_never_agree_on_a_leaf_sign_nothing(authority: Authority, later: MemorySigner) -> None:
    for make in ("stamp", "announce"):
        signer = Renewing(itertools.repeat(authority.signer), itertools.repeat(later))
        stamper = Stamper(signer)
        with pytest.raises(StampFailed, match="try again"):
            if make == "stamp":
                stamper.stamp(speech_like(0.2), RATE, a_disclosure())
            else:
                stamper.announce(a_disclosure())
        assert signer.asked == 8


@pytest.mark.parametrize("answer", [b"", b"\0" * 64, b"\x01" * 10])
def test_what_is_no_signature_is_not_its_leaf_s(authority: Authority, answer: bytes) -> None:
    class Broken(MemorySigner):
        def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
            return answer

    with pytest.raises(LeafChanged):
        SigningLeaf.of(Broken(authority.signer.chain, b"")).sign(b"claim")

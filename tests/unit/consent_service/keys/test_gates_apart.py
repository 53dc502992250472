"""Gates with sealed keys look at them now and then, each in its own time: a leaf that only one of them has noticed
costs nobody a signature."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consent_service.keys.kms import KmsKeyProvider
from provenance.labels import token as tokens
from provenance.stamp import Stamper
from tests.assets.aws import Kms
from tests.unit.provenance.conftest import a_disclosure


@dataclass
class Gates:
    """Any call may reach any of them."""

    gates: list[KmsKeyProvider]
    drawn: random.Random = field(default_factory=lambda: random.Random(7))

    def certificate_chain(self) -> bytes:
        return self.drawn.choice(self.gates).certificate_chain()

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return self.drawn.choice(self.gates).sign_manifest(message, chain)


@pytest.fixture
def apart(kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[KmsKeyProvider]:
    """Two gates, of which the second has not noticed the leaf that the first has made; nor will it by waiting."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr("consent_service.keys.kms.time.monotonic", lambda: 1000.0)
    config = kms.config(refresh_s=10.0)
    first = KmsKeyProvider.create(tmp_path / "sealed", config, organisation="Testers")
    second = KmsKeyProvider(tmp_path / "sealed", config)
    renew(first)
    assert first.certificate_chain() != second.certificate_chain()
    return [first, second]


def renew(gate: KmsKeyProvider) -> None:
    gate.write_leaf(gate.new_leaf(datetime.now(UTC))[0])
    gate.leaf_afresh()


def test_every_stream_is_announced_while_gates_turn_to_a_new_leaf(apart: list[KmsKeyProvider]) -> None:
    said = a_disclosure(generated_at=time.time())
    stamper = Stamper(Gates(apart))
    for _ in range(30):
        renew(apart[0])
        for _ in range(3):
            assert tokens.verify(stamper.announce(said), apart[0].trust_anchor()).clip_id == said.clip_id


def test_a_gate_that_is_asked_for_a_leaf_it_does_not_know_looks_again(apart: list[KmsKeyProvider]) -> None:
    first, second = apart
    second.sign_manifest(b"claim", second.certificate_chain())
    second.sign_manifest(b"claim")
    assert second.certificate_chain() != first.certificate_chain(), "nobody has spoken of it"
    second.sign_manifest(b"claim", first.certificate_chain())
    assert second.certificate_chain() == first.certificate_chain()


def test_nobody_brings_a_gate_to_sign_under_a_leaf_that_was_replaced(apart: list[KmsKeyProvider]) -> None:
    first, second = apart
    old, new = second.certificate_chain(), first.certificate_chain()
    first.sign_manifest(b"claim", old)
    assert first.certificate_chain() == new

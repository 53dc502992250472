"""A stamper that runs past the day on which its leaf is due, with real manifests; and processes that do so at once."""

from __future__ import annotations

import time
from pathlib import Path

from consent_service.config import ConsentConfig
from consent_service.keys.certificates import leaf_id
from consent_service.service import ConsentService
from provenance.stamp import Stamper
from provenance.verify import Integrity, Origin, Verifier
from tests.assets.installation import Clock, Tenant
from tests.integration.consent_service import renewing
from tests.integration.consent_service.test_many_processes import PROCESSES, run_at_once
from tests.unit.consent_service.leaves import YEAR, age, settled
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like


def test_clips_from_before_during_and_after_a_renewal_all_verify(tmp_path: Path) -> None:
    clock = Clock(
        time.time() - YEAR
    )  # c2pa reads the machine's clock: the new leaf must be valid by that one
    service = ConsentService.open(ConsentConfig(data_dir=tmp_path / "data"), clock=clock)
    service.tenants.bootstrap("acme")
    old = age(service, 7.9)
    stamper = Stamper(service.keys)
    clips = [stamper.stamp(speech_like(0.2), RATE, a_disclosure())]
    assert settled(service) == old
    clock.now += YEAR
    # The first of these sets the renewal going; whichever of the two leafs it meets, it is signed.
    clips += [stamper.stamp(speech_like(0.2, seed), RATE, a_disclosure()) for seed in (2, 3, 4)]
    assert settled(service) != old
    clips.append(stamper.stamp(speech_like(0.2, 5), RATE, a_disclosure()))
    verifier = Verifier(service.keys.trust_anchor())
    for clip in clips:
        verdict = verifier.verify(clip.data)
        assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    service.close()


def test_processes_that_live_past_the_threshold_at_once_make_one_leaf(world: Tenant) -> None:
    old = leaf_id(age(world.service, 9))
    told = run_at_once(renewing.outlive, world.config)
    (new,) = {last for _, last in told}
    assert new == leaf_id(world.service.keys.certificate_chain()) != old
    assert {first for first, _ in told} <= {old, new}
    assert len(told) == PROCESSES
    entries = [(e["old"], e["new"]) for e in world.log() if e.get("ring") == "manifest"]
    assert entries == [(old, new)]

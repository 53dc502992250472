"""A process that runs for years signs under a leaf that lives: renewed in time, in the open, once, and never at the
cost of a request."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fastapi.testclient import TestClient

from consent_service.config import ConsentConfig
from consent_service.errors import SigningCertificateExpired
from consent_service.http.app import build_app
from consent_service.http.config import ApiConfig
from consent_service.keys.box import FolderBox
from consent_service.keys.certificates import leaf_id
from consent_service.keys.keeper import FIRST_RETRY_S
from consent_service.keys.kms import KmsKeyProvider
from consent_service.rotation import rotate
from consent_service.service import ConsentService
from tests.assets.aws import Kms
from tests.assets.installation import DAY, START, Clock, Tenant
from tests.unit.consent_service.leaves import YEAR, age, age_root, ring_keys, settled

ROOT = "manifest-root.pem"
SERIES = "vouch_consent_leaf_ends_timestamp_seconds"


def renewals(world: Tenant) -> list[tuple[object, object]]:
    return [(e["old"], e["new"]) for e in world.log() if e.get("ring") == "manifest"]


def test_a_process_that_outlives_the_threshold_signs_under_a_new_leaf_without_a_restart(
    world: Tenant,
) -> None:
    keys, rival = world.service.keys, world.service.authenticate(world.service.tenants.bootstrap("rival"))
    old, anchor = age(world.service, 7.9), keys.trust_anchor()
    assert settled(world.service) == old
    world.clock.now += 60 * DAY
    assert keys.certificate_chain() == old  # nobody waits for the new one
    new = settled(world.service)
    leaf, root = x509.load_pem_x509_certificates(new)
    signature = keys.sign_manifest(b"claim")
    public, raw = (
        leaf.public_key(),
        [int.from_bytes(part, "big") for part in (signature[:32], signature[32:])],
    )
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(*raw), b"claim", ec.ECDSA(hashes.SHA256()))
    for chain in (old, new):
        x509.load_pem_x509_certificates(chain)[0].verify_directly_issued_by(root)
    assert keys.trust_anchor() == anchor
    assert ring_keys(world.service).leaf().life.left(world.clock.now) > 0.99
    assert renewals(world) == [(leaf_id(old), leaf_id(new))]
    theirs = [json.loads(entry) for entry in world.service.log.entries(rival)]
    told = [entry for entry in theirs if entry.get("ring") == "manifest"]
    assert [(entry["kind"], entry["new"]) for entry in told] == [("key.rotated", leaf_id(new))]
    assert "by" not in told[0]  # nobody asked for it
    assert settled(world.service) == new
    assert len(renewals(world)) == 1


def test_a_leaf_that_is_due_when_the_process_starts_is_told_to_the_logs_as_well(world: Tenant) -> None:
    old = age(world.service, 9)
    other = ConsentService.open(world.config, clock=world.clock)
    assert renewals(world) == [(leaf_id(old), leaf_id(other.keys.certificate_chain()))]
    other.close()


def test_processes_that_find_it_due_at_once_make_one_leaf_and_share_it(world: Tenant) -> None:
    others = [ConsentService.open(world.config, clock=world.clock) for _ in range(3)]
    age(world.service, 9)
    together = threading.Barrier(len(others))

    def sign(service: ConsentService) -> None:
        together.wait()
        settled(service)

    threads = [threading.Thread(target=sign, args=(service,)) for service in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({service.keys.certificate_chain() for service in (world.service, *others)}) == 1
    assert len(renewals(world)) == 1
    for service in others:
        service.close()


@pytest.mark.parametrize("in_kms", [False, True], ids=["sealed leaf", "leaf in the KMS"])
def test_keys_of_a_kms_are_renewed_the_same_way(kms: Kms, tmp_path: Path, in_kms: bool) -> None:
    settings = kms.config(manifest=kms.manifest if in_kms else None)
    clock = Clock(START)
    service = ConsentService.open(ConsentConfig(data_dir=tmp_path / "data", kms=settings), clock=clock)
    auditor = service.authenticate(service.tenants.bootstrap("acme"))
    assert isinstance(service.keys, KmsKeyProvider)
    old = age(service, 7.9)
    clock.now += 60 * DAY
    new = settled(service)
    assert new != old
    assert len(service.keys.sign_manifest(b"claim")) == 64
    told = [json.loads(entry) for entry in service.log.entries(auditor)]
    assert [e["new"] for e in told if e.get("ring") == "manifest"] == [leaf_id(new)]
    service.close()


def test_a_renewal_that_fails_fails_no_request_and_is_tried_again_later(
    world: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    root = world.data_dir / "keys" / ROOT
    kept = root.read_bytes()
    old = age(world.service, 9)
    root.write_bytes(b"-----BEGIN NOTHING-----")
    assert settled(world.service) == old
    assert len(world.service.keys.sign_manifest(b"claim")) == 64
    (told,) = [r for r in caplog.records if r.name == "vouch.consent"]
    assert told.levelno == logging.ERROR
    assert "could not be renewed" in told.getMessage()
    assert "BEGIN" not in caplog.text
    root.write_bytes(kept)
    assert settled(world.service) == old  # not yet
    world.clock.now += FIRST_RETRY_S
    assert settled(world.service) != old
    assert len(renewals(world)) == 1


def test_a_process_that_may_only_read_the_keys_tells_no_log_of_a_leaf_that_never_came(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = age(world.service, 9)

    def refused(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(FolderBox, "write", refused)
    assert settled(world.service) == old
    assert renewals(world) == []


def test_a_renewal_that_failed_keeps_no_other_process_from_rotating(world: Tenant) -> None:
    other = ConsentService.open(world.config, clock=world.clock)
    age(world.service, 9)
    root = world.data_dir / "keys" / ROOT
    root.rename(world.data_dir / "kept-elsewhere.pem")
    settled(world.service)
    (world.data_dir / "kept-elsewhere.pem").rename(root)
    rotating = threading.Thread(
        target=other.rotation.rotate, args=(world.admin, [rotate.KeyKind.MANIFEST]), daemon=True
    )
    rotating.start()
    rotating.join(30)
    assert not rotating.is_alive()
    assert len(renewals(world)) == 1
    other.close()


def test_a_ledger_that_is_away_leaves_the_old_leaf_signing(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = age(world.service, 9)

    def away(*_: object, **__: object) -> None:
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(rotate, "_announce", away)
        assert settled(world.service) == old  # unannounced, nothing is put in use
    world.clock.now += FIRST_RETRY_S
    assert settled(world.service) != old


def test_nobody_waits_for_a_renewal_that_waits_for_a_rotation(world: Tenant) -> None:
    old = age(world.service, 9)
    with rotate.alone(world.core, world.admin):
        for _ in range(3):
            assert world.service.keys.certificate_chain() == old
        assert [t.name for t in threading.enumerate()].count("leaf-renewal") == 1
    assert settled(world.service) != old


def test_without_the_root_s_key_each_process_says_so_years_ahead(
    world: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    old = age(world.service, 7.9)
    root = world.data_dir / "keys" / ROOT
    root.rename(world.data_dir / "kept-elsewhere.pem")
    assert settled(world.service) == old
    assert not caplog.records
    world.clock.now += 60 * DAY
    assert settled(world.service) == old
    assert "vouch key rotate --purpose manifest" in caplog.text
    outlook = world.service.rotation.certificate_outlook()
    assert outlook is not None
    assert outlook.is_due
    assert "manifest-root.pem" in outlook.trouble
    assert outlook.ends - world.clock.now > 3 * YEAR
    (world.data_dir / "kept-elsewhere.pem").rename(root)
    world.clock.now += DAY
    assert settled(world.service) != old
    outlook = world.service.rotation.certificate_outlook()
    assert outlook is not None
    assert (outlook.is_due, outlook.trouble) == (False, "")


def test_a_leaf_that_has_ended_signs_nothing_and_one_that_is_renewed_after_all_does(world: Tenant) -> None:
    keys = world.service.keys
    age(world.service, 11.9)
    root = world.data_dir / "keys" / ROOT
    root.rename(world.data_dir / "kept-elsewhere.pem")
    assert len(keys.sign_manifest(b"claim")) == 64
    world.service._renewer.wait(30)
    world.clock.now += 60 * DAY
    for use in (keys.certificate_chain, lambda: keys.sign_manifest(b"claim")):
        with pytest.raises(SigningCertificateExpired, match="ended on"):
            use()
    world.service._renewer.wait(30)
    assert keys.trust_anchor()  # what was signed can still be verified
    (world.data_dir / "kept-elsewhere.pem").rename(root)
    world.clock.now += FIRST_RETRY_S  # and not a day, as while the old leaf served
    with contextlib.suppress(SigningCertificateExpired):  # unless the new one is quicker than we are
        keys.certificate_chain()
    world.service._renewer.wait(30)
    assert keys.certificate_chain()
    assert len(keys.sign_manifest(b"claim")) == 64


def test_an_operator_renews_a_leaf_that_has_ended(world: Tenant) -> None:
    age(world.service, 13)
    world.service._renewer.close()
    (rotated,) = world.service.rotation.rotate(world.admin, [rotate.KeyKind.MANIFEST])
    assert rotated.new == leaf_id(world.service.keys.certificate_chain())


def test_what_another_process_renewed_is_looked_for_before_anything_is_refused(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring_keys(world.service)
    age(world.service, 13)
    seen = keys.box.stamp("manifest.json")
    other = ConsentService.open(world.config, clock=world.clock)  # renews
    monkeypatch.setattr(keys.box, "stamp", lambda _: seen)  # the time to look has not come
    world.service._renewer.close()
    assert keys.certificate_chain() == other.keys.certificate_chain()
    other.close()


def test_a_leaf_that_ends_with_its_root_is_not_renewed_over_and_over(
    world: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    old = age_root(world.service, 22, 9)
    assert settled(world.service) == old
    assert "no leaf outlives the root" in caplog.text
    assert renewals(world) == []


def test_a_service_that_closes_lets_a_renewal_end(world: Tenant) -> None:
    old = age(world.service, 9)
    clock = Clock(world.clock.now - 2 * YEAR)
    other = ConsentService.open(world.config, clock=clock)
    clock.now = world.clock.now
    with rotate.alone(world.core, world.admin):
        other.keys.certificate_chain()
        closing = threading.Thread(target=other.close)
        closing.start()
    closing.join()
    assert ring_keys(world.service).leaf().chain != old


def test_prometheus_is_told_until_when_manifests_can_be_signed(world: Tenant) -> None:
    client = TestClient(build_app(world.service, ApiConfig(consent=world.config)))

    def told() -> float:
        (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(SERIES)]
        return float(line.split()[1])

    age(world.service, 7)
    assert told() == pytest.approx(world.clock.now + 5 * YEAR, abs=DAY)
    (world.data_dir / "keys" / "manifest.json").unlink()
    assert math.isnan(told())  # and the other series are there as before

"""Kill -9 at random points of every operation that matters: all of it or none, and what was begun can be ended.

Rotation has a test of its own. The long form kills a hundred times.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent_service.models import Closing
from consent_service.proofs.certificate import verify_certificate
from consent_service.proofs.log import LogSummary, verify_export
from consent_service.proofs.trust import TrustedKeys
from tests.assets.installation import Tenant
from tests.integration.consent_service import crashing

pytestmark = pytest.mark.on_both_databases

NEVER = 0
ENDS = (
    "voice.decommissioned",
    "voice.key_destroyed",
    "voice.clips_deleted",
    "voice.erased",
    "voice.destroyed",
)


def verified(world: Tenant, folder: Path) -> LogSummary:
    world.service.log.export(world.auditor, folder)
    return verify_export(folder)


def entries(world: Tenant, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in world.log() if entry["kind"] == kind]


class Enrolling:
    """The second step of an enrolment: recordings and their key on one side, the ledger on the other."""

    operation = staticmethod(crashing.complete)

    def prepare(self, world: Tenant, _: Path) -> str:
        self.begun = world.service.voices.begin_enrolment(
            world.admin, name="V", language="en", grantee="studio", purpose="narration", subject_name="P"
        )
        return self.begun.enrolment_id

    def check(self, world: Tenant, *, killed: bool) -> None:
        voice = world.service.voices.get(world.admin, self.begun.voice_id)
        told = [entry for entry in entries(world, "voice.enrolled") if entry["voice"] == voice.voice_id]
        if voice.state == "enrolling":
            assert killed
            assert not told
            crashing.complete(
                world.service, world.admin, self.begun.enrolment_id
            )  # nothing stands in the way
            voice = world.service.voices.get(world.admin, self.begun.voice_id)
        else:
            assert len(told) == 1
        assert voice.state == "review"
        vault = world.core.vault
        assert vault.open("acme", voice.voice_id, "reference", voice.prompt_digest)


class Redeeming:
    """Nonce, entry and clip."""

    operation = staticmethod(crashing.redeem)

    def prepare(self, world: Tenant, _: Path) -> str:
        allowed = world.allow()
        self.grant = allowed.grant
        return allowed.token

    def check(self, world: Tenant, *, killed: bool) -> None:
        grant = self.grant
        told = [entry for entry in entries(world, "speech.redeemed") if entry["grant"] == grant.grant_id]
        spent = world.rows(f"SELECT leaf FROM redemptions WHERE grant_id = '{grant.grant_id}'")
        clips = world.rows(f"SELECT audit_leaf FROM clips WHERE clip_id = '{grant.clip_id}'")
        assert len(told) == len(spent) == len(clips) <= 1
        assert killed or told
        assert spent == clips == [(entry["n"],) for entry in told]


class Revoking:
    """Consent, epoch, feed, clips, receipt and entry."""

    operation = staticmethod(crashing.revoke)

    def prepare(self, world: Tenant, _: Path) -> str:
        self.voice = world.enrol("Revoked", hertz=211.0)
        self.consent_id = world.record(self.voice).consent.consent_id
        return self.consent_id

    def check(self, world: Tenant, *, killed: bool) -> None:
        ended = world.service.consents.get(world.auditor, self.consent_id).state == "revoked"
        assert ended or killed
        told = [entry for entry in entries(world, "consent.revoked") if entry["consent"] == self.consent_id]
        fed = [entry for entry in world.service.gate.revocations() if entry.consent_id == self.consent_id]
        epoch = world.service.voices.get(world.admin, self.voice.voice_id).epoch
        assert (len(told), len(fed), epoch) == ((1, 1, 2) if ended else (0, 0, 1))


class Decommissioning:
    """The longest: whatever it died in, going on ends it, once, with nothing left and a certificate."""

    operation = staticmethod(crashing.decommission)

    def prepare(self, world: Tenant, folder: Path) -> str:
        self.voice = world.enrol("Ended", hertz=223.0)
        consent_id = world.record(self.voice).consent.consent_id
        world.service.tenants.bind_consent(world.admin, world.narrator.key_id, consent_id)
        redeemed = world.service.gate.redeem(
            world.allow(voice_id=self.voice.voice_id).token, world.replica.replica_id
        )
        self.file = folder / f"{redeemed.grant.clip_id}.wav"
        self.file.write_bytes(b"audio")
        record = redeemed.clip_record(created_at=world.clock.now)
        fields = {name: getattr(record, name) for name in record.__slots__}
        placed = {**fields, "audio_sha256": "ab" * 32, "seconds": 1.0, "objects": (str(self.file),)}
        world.service.clips.register_store(str(folder), "output", tenant="acme")
        world.service.clips.register_clip(type(record)(**placed))
        world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, "ab" * 32))
        return self.voice.voice_id

    def check(self, world: Tenant, *, killed: bool) -> None:
        voice_id = self.voice.voice_id
        if world.service.voices.get(world.admin, voice_id).state != "decommissioned":
            assert killed
            world.service.deletion.decommission(world.admin, voice_id, "the end")
        else:
            world.service.deletion.resume(world.admin)
        for kind in ENDS:
            assert len([entry for entry in entries(world, kind) if entry["voice"] == voice_id]) == 1, kind
        trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
        account = verify_certificate(
            world.service.deletion.certificate(world.admin, voice_id), trusted
        ).account
        assert account["wrapped_key"]
        assert account["clips"]["copies"] == 1
        assert not self.file.exists()
        assert not list(world.data_dir.rglob(f"*{voice_id}*"))
        assert "Ended" not in world.dump()


CASES: list[Callable[[], Any]] = [Enrolling, Redeeming, Revoking, Decommissioning]


def kill(world: Tenant, make: Callable[[], Any], folder: Path, pick: random.Random, times: int) -> int:
    """Learn how many things an operation does, then have it die at so many of them. Returns the kills."""
    folder.mkdir()
    case, killed = make(), 0
    total = crashing.attempt(world.config, case.operation, world.admin, case.prepare(world, folder), NEVER)
    assert total is not None
    case.check(world, killed=False)
    for last in pick.sample(range(1, total + 1), min(times, total)):
        case = make()
        about = case.prepare(world, folder)
        died = crashing.attempt(world.config, case.operation, world.admin, about, last) is None
        case.check(world, killed=died)
        killed += died
    return killed


@pytest.mark.parametrize("make", CASES)
def test_killed_anywhere_it_is_whole_or_never_was(
    world: Tenant, tmp_path: Path, make: Callable[[], Any]
) -> None:
    assert kill(world, make, tmp_path / "clips", random.Random(make.__name__), 2) >= 1
    verified(world, tmp_path / "export")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make", CASES)
def test_killed_everywhere_it_is_whole_or_never_was(
    world: Tenant, tmp_path: Path, make: Callable[[], Any], record_property: Callable[[str, object], None]
) -> None:
    killed = kill(world, make, tmp_path / "clips", random.Random(31), 25)
    record_property("kills", killed)
    assert killed >= 10
    verified(world, tmp_path / "export")

"""The log says which file was handed over and when: that outlives the certificate that signed it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from consent_service.errors import ProofInvalid
from consent_service.models import Closing, Redeemed
from consent_service.proofs.bundle import Bundle, BundledClip
from tests.assets.installation import Tenant, digest


def redeemed(world: Tenant, text: str = "hello") -> Redeemed:
    made = world.service.gate.redeem(world.allow(text).token, world.replica.replica_id)
    record = made.clip_record(created_at=world.clock.now)
    world.service.clips.register_clip(dataclasses.replace(record, audio_sha256=digest(text), seconds=1.0))
    return made


def handed_over(world: Tenant, text: str = "hello") -> Redeemed:
    made = redeemed(world, text)
    world.service.gate.close(made.grant.grant_id, Closing("completed", 1.0, digest(text)))
    return made


def exported(world: Tenant, folder: Path) -> Bundle:
    world.service.exports.write_bundle(world.auditor, folder / "bundle")
    return Bundle.read((folder / "bundle").read_bytes(), clock=world.clock)


def test_ledger_and_bundle_say_when_a_file_was_handed_over(world: Tenant, tmp_path: Path) -> None:
    at = world.clock.now
    clip_id = handed_over(world).grant.clip_id
    world.clock.now += 3600.0
    for reader in (world.service.clips, exported(world, tmp_path)):
        assert reader.logged_at(clip_id, digest("hello")) == at
        assert reader.logged_at(clip_id, digest("another file")) is None
        assert reader.logged_at("0" * 32, digest("hello")) is None


def test_what_was_never_handed_over_is_not_in_the_log(world: Tenant, tmp_path: Path) -> None:
    made = redeemed(world)
    failed = redeemed(world, "again")
    world.service.gate.close(failed.grant.grant_id, Closing("failed", reason="synthesis_failed"))
    for reader in (world.service.clips, exported(world, tmp_path)):
        # The register holds both digests already; the log does not.
        assert reader.knows_clip(made.grant.clip_id, digest("hello")) is True
        assert reader.logged_at(made.grant.clip_id, digest("hello")) is None
        assert reader.logged_at(failed.grant.clip_id, digest("again")) is None


@pytest.mark.parametrize(
    ("leaf", "change"),
    [
        (None, {}),
        (0, {}),
        (10_000, {}),
        (-1, {}),
        ("same", {'"kind":"speech.closed"': '"kind":"speech.opened"'}),
        ("same", {'"at":1': '"at":2'}),
    ],
    ids=["no leaf", "another entry's leaf", "past the log", "before the log", "another kind", "another time"],
)
def test_a_bundle_whose_closing_entry_is_not_in_the_log_is_refused(
    world: Tenant, tmp_path: Path, leaf: int | str | None, change: dict[str, str]
) -> None:
    handed_over(world)
    bundle = exported(world, tmp_path)
    (clip,) = bundle._clips.values()
    assert clip.closing is not None
    closing = clip.closing
    for before, after in change.items():
        assert before in closing
        closing = closing.replace(before, after)
    at = clip.closing_leaf if leaf == "same" else leaf
    bundle._clips = {clip.clip_id: dataclasses.replace(clip, closing=closing, closing_leaf=at)}  # type: ignore[arg-type]
    with pytest.raises(ProofInvalid):
        bundle._prove()


def test_the_closing_entry_of_another_clip_is_refused(world: Tenant, tmp_path: Path) -> None:
    first, second = handed_over(world), handed_over(world, "again")
    bundle = exported(world, tmp_path)
    clips = dict(bundle._clips)
    one, other = clips[first.grant.clip_id], clips[second.grant.clip_id]
    clips[one.clip_id] = dataclasses.replace(one, closing=other.closing, closing_leaf=other.closing_leaf)
    bundle._clips = clips
    with pytest.raises(ProofInvalid):
        bundle._prove()


def test_a_line_without_a_closing_entry_is_still_read(world: Tenant, tmp_path: Path) -> None:
    """Bundles that were exported before there was one."""
    handed_over(world)
    (clip,) = exported(world, tmp_path)._clips.values()
    line = dataclasses.replace(clip, closing=None, closing_leaf=None).to_line()
    old = line.replace(b'"closing":null,', b"").replace(b'"closing_leaf":null,', b"")
    assert old != line
    assert BundledClip.from_line(old).closing is None

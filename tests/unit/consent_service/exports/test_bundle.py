"""One exported file answers for the ledger: standing, origin in the log, and nothing that anyone could misuse."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from consent_service.errors import InvalidInput, ProofInvalid
from consent_service.models import Closing, Redeemed
from consent_service.proofs.bundle import Bundle, sign_head
from consent_service.proofs.protocols import ProofReader
from consent_service.proofs.records import KeyPurpose, Standing, WatermarkTag
from consent_service.proofs.standings import STANDINGS_TYPE, verify_standings
from consent_service.proofs.statement import sign_statement
from consent_service.proofs.trust import TrustedKeys
from tests.assets.installation import DAY, Installation, Tenant, digest


def spoken(world: Tenant, text: str = "hello", **changes: object) -> Redeemed:
    redeemed = world.service.gate.redeem(world.allow(text, **changes).token, world.replica.replica_id)
    record = redeemed.clip_record(created_at=world.clock.now)
    world.service.clips.register_clip(dataclasses.replace(record, audio_sha256=digest(text), seconds=1.0))
    world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, digest(text)))
    return redeemed


def trusted(world: Tenant) -> TrustedKeys:
    return TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))


def bundle(world: Tenant, folder: Path) -> Bundle:
    world.service.exports.write_bundle(world.auditor, folder / "bundle")
    return Bundle.read((folder / "bundle").read_bytes(), trusted(world), clock=world.clock)


def standing(reader: ProofReader, redeemed: Redeemed) -> Standing:
    grant = redeemed.grant
    return reader.standing(grant.clip_id, grant.consent_id, grant.consent_version)[0]


def test_a_bundle_answers_as_the_ledger_did_when_it_was_exported(world: Tenant, tmp_path: Path) -> None:
    live, preset = spoken(world), spoken(world, mode="custom", voice_id="Vivian")
    withdrawn_voice = world.enrol("Withdrawn", hertz=300.0)
    recorded = world.record(withdrawn_voice)
    world.service.tenants.bind_consent(world.admin, world.narrator.key_id, recorded.consent.consent_id)
    withdrawn = spoken(world, "again", voice_id=withdrawn_voice.voice_id)
    world.service.consents.revoke(world.admin, recorded.consent.consent_id, "no more")
    reader = bundle(world, tmp_path)
    for redeemed, expected in (
        (live, Standing.LIVE),
        (preset, Standing.NOT_REQUIRED),
        (withdrawn, Standing.WITHDRAWN),
    ):
        assert standing(reader, redeemed) is expected is standing(world.service.clips, redeemed)
    grant = live.grant
    assert reader.standing(grant.clip_id, grant.consent_id, 7) == (Standing.UNKNOWN, world.clock.now)
    assert reader.standing("0" * 32, None, None) == (Standing.UNKNOWN, world.clock.now)
    assert reader.knows_clip(grant.clip_id, digest("hello")) is True
    assert reader.knows_clip(grant.clip_id, digest("other")) is False
    assert reader.knows_clip("0" * 32, digest("hello")) is None
    assert reader.watermark_keys() == {}
    assert reader.as_of == world.clock.now
    assert reader.trust_anchor == world.service.keys.trust_anchor()
    assert live.watermark is not None
    found = reader.marked_clip(live.watermark)
    assert found is not None
    assert (found.clip_id, found.audit_leaf, found.state) == (grant.clip_id, live.audit_leaf, "live")
    assert reader.marked_clip(WatermarkTag(9, 9)) is None


def test_a_withdrawal_after_the_export_is_not_known_and_the_answer_says_as_of_when(
    world: Tenant, tmp_path: Path
) -> None:
    redeemed = spoken(world)
    exported_at = world.clock.now
    reader = bundle(world, tmp_path)
    world.clock.now += DAY
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    grant = redeemed.grant
    assert reader.standing(grant.clip_id, grant.consent_id, grant.consent_version) == (
        Standing.LIVE,
        exported_at,
    )


def test_a_consent_that_ran_out_since_is_seen_to_have_expired(world: Tenant, tmp_path: Path) -> None:
    redeemed = spoken(world)
    reader = bundle(world, tmp_path)
    ends = world.consent.consent.terms.valid_until
    world.clock.now = ends + DAY
    grant = redeemed.grant
    assert reader.standing(grant.clip_id, grant.consent_id, grant.consent_version) == (Standing.EXPIRED, ends)
    assert standing(bundle(world, tmp_path), redeemed) is Standing.EXPIRED


def test_tombstones_are_in_the_bundle(world: Tenant, tmp_path: Path) -> None:
    redeemed = spoken(world)
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    reader = bundle(world, tmp_path)
    assert standing(reader, redeemed) is Standing.DECOMMISSIONED
    assert reader.standings.consents[world.consent_id].standing is Standing.DECOMMISSIONED


def test_what_a_clip_says_of_the_log_is_proven_from_the_leaves(world: Tenant, tmp_path: Path) -> None:
    first = spoken(world, "one")
    second = spoken(world, "two")
    reader = bundle(world, tmp_path)
    for each in (first, second):
        reader.verify_in_log(each.grant.clip_id, each.audit_leaf, each.checkpoint)
    with pytest.raises(ProofInvalid, match="nothing of this clip"):
        reader.verify_in_log(first.grant.clip_id, second.audit_leaf, second.checkpoint)
    with pytest.raises(ProofInvalid, match="nothing of this clip"):
        reader.verify_in_log(second.grant.clip_id, second.audit_leaf, first.checkpoint)
    later = spoken(world, "three")
    with pytest.raises(ProofInvalid, match="younger"):
        reader.verify_in_log(later.grant.clip_id, later.audit_leaf, later.checkpoint)


def test_a_history_that_was_rewritten_since_is_found(world: Tenant, tmp_path: Path) -> None:
    """Whoever owns database and keys can write another history; a clip that left carries the first one's checkpoint."""
    redeemed = spoken(world)
    core = world.core
    fork = Installation.create(tmp_path / "fork").tenant()
    for text in ("a", "b", "c", "d"):
        spoken(fork, text)
    # The same keys, the same origin, another history.
    object.__setattr__(fork.core, "keys", core.keys)
    reader = bundle(fork, tmp_path)
    with pytest.raises(ProofInvalid):
        reader.verify_in_log(redeemed.grant.clip_id, redeemed.audit_leaf, redeemed.checkpoint)
    leaf = next(iter(reader._clips.values()))
    stolen = dataclasses.replace(leaf, leaf=redeemed.audit_leaf)
    reader._clips = {stolen.clip_id: stolen}
    with pytest.raises(ProofInvalid, match="rewritten"):
        reader.verify_in_log(stolen.clip_id, redeemed.audit_leaf, redeemed.checkpoint)
    fork.installation.close()


def test_a_bundle_that_was_put_together_from_two_is_refused(world: Tenant, tmp_path: Path) -> None:
    spoken(world)
    world.service.exports.write_bundle(world.auditor, tmp_path / "one")
    spoken(world, "more")
    world.service.exports.write_bundle(world.auditor, tmp_path / "two")
    one, two = ((tmp_path / name).read_bytes().partition(b"\n") for name in ("one", "two"))
    with pytest.raises(ProofInvalid):
        Bundle.read(one[0] + b"\n" + two[2], trusted(world))


def test_a_bundle_of_someone_else_is_whole_and_not_trusted(world: Tenant, tmp_path: Path) -> None:
    other = Installation.create(tmp_path / "elsewhere").tenant()
    spoken(other)
    other.service.exports.write_bundle(other.auditor, tmp_path / "theirs")
    raw = (tmp_path / "theirs").read_bytes()
    Bundle.read(raw)
    with pytest.raises(ProofInvalid):
        Bundle.read(raw, trusted(world))
    other.service.close()


def test_a_bundle_holds_no_name_no_text_and_no_key(world: Tenant, tmp_path: Path) -> None:
    spoken(world)
    world.service.exports.write_bundle(world.auditor, tmp_path / "bundle")
    raw = (tmp_path / "bundle").read_bytes()
    for secret in (b"A Person", b"A voice", b"studio", digest("hello").encode() + b'","said'):
        assert secret not in raw
    assert world.service.clips.watermark_keys()[1] not in raw
    assert b"PRIVATE" not in raw


def test_standings_are_a_list_of_their_own(world: Tenant) -> None:
    listed = verify_standings(world.service.exports.standings(world.auditor), trusted(world))
    (found,) = listed.consents.values()
    assert (found.consent_id, found.standing) == (world.consent_id, Standing.LIVE)
    assert listed.of("consent_unknown", world.clock.now) == (Standing.UNKNOWN, world.clock.now)
    with pytest.raises(ProofInvalid):
        verify_standings(world.service.consents.receipt(world.auditor, world.consent_id), trusted(world))


def test_a_bundle_that_can_not_be_written_says_so(world: Tenant, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        world.service.exports.write_bundle(world.auditor, tmp_path / "nowhere" / "bundle")


def lines(raw: bytes) -> Iterator[dict[str, object]]:
    head, _, rest = raw.partition(b"\n")
    count = json.loads(head)["statement"]["clips"]
    for line in rest.split(b"\n")[1 : 1 + count]:
        yield json.loads(line)


def test_clips_come_in_the_order_of_the_log(world: Tenant, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        spoken(world, text)
    world.service.exports.write_bundle(world.auditor, tmp_path / "bundle")
    leaves = [line["leaf"] for line in lines((tmp_path / "bundle").read_bytes())]
    assert leaves == sorted(leaves, key=str) or leaves == sorted(leaves, key=lambda leaf: int(str(leaf)))


def rebuilt(
    world: Tenant, raw: bytes, change: Callable[[list[bytes], bytes], tuple[list[bytes], bytes]]
) -> bytes:
    """The same bundle with other clips or leaves, signed anew by whoever holds the keys."""
    first, _, content = raw.partition(b"\n")
    head = json.loads(first)["statement"]
    listed, *rest = content.split(b"\n", head["clips"] + 1)
    clips, leaves = change(rest[:-1], rest[-1])
    content = b"".join(line + b"\n" for line in (listed, *clips)) + leaves
    return content_signed(world, head, content)


def content_signed(world: Tenant, head: dict[str, Any], content: bytes) -> bytes:
    fields = {name: value for name, value in head.items() if name not in ("type", "content_sha256")}
    fields["trust_anchor"] = fields["trust_anchor"].encode()
    digest_of_content = hashlib.sha256(content).hexdigest()
    sign = world.service.keys.sign
    return (
        sign_head(
            **fields, content_sha256=digest_of_content, sign=lambda message: sign(KeyPurpose.RECEIPT, message)
        )
        + content
    )


def test_a_bundle_whose_clips_the_log_does_not_bear_out_is_refused_whoever_signed_it(
    world: Tenant, tmp_path: Path
) -> None:
    spoken(world, "one")
    spoken(world, "two")
    world.service.exports.write_bundle(world.auditor, tmp_path / "bundle")
    raw = (tmp_path / "bundle").read_bytes()
    Bundle.read(rebuilt(world, raw, lambda clips, leaves: (clips, leaves)), trusted(world))

    def with_clip(**other: object) -> bytes:
        return rebuilt(
            world,
            raw,
            lambda clips, leaves: ([rfc8785.dumps({**json.loads(clips[0]), **other}), *clips[1:]], leaves),
        )

    for forged in (
        rebuilt(world, raw, lambda clips, leaves: ([clips[0], clips[0]], leaves)),
        rebuilt(world, raw, lambda clips, leaves: (clips, leaves[:-32])),
        rebuilt(world, raw, lambda clips, leaves: (clips, bytes(32) + leaves[32:])),
        with_clip(leaf=0),
        with_clip(leaf=10**6),
        with_clip(clip_id="f" * 32),
        with_clip(entry="{}"),
        with_clip(state="fine"),
    ):
        with pytest.raises(ProofInvalid):
            Bundle.read(forged, trusted(world))


def test_standings_that_lack_what_a_list_says_are_refused_whoever_signed_them(world: Tenant) -> None:
    for body in ({}, {"checkpoint": world.service.log.checkpoint(world.auditor), "consents": [{}]}):
        text = sign_statement(
            STANDINGS_TYPE, body, lambda message: world.service.keys.sign(KeyPurpose.RECEIPT, message)
        )
        with pytest.raises(ProofInvalid):
            verify_standings(text, trusted(world))

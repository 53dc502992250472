"""The end of a voice: everything that was to go is gone, what stays is named, and a stranger can check both."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consent_service.config import ConsentConfig
from consent_service.deletion import certify, clips, decommission, erase
from consent_service.errors import (
    Conflict,
    ConsentError,
    GrantRevoked,
    InvalidInput,
    LedgerUnavailable,
    NotFound,
    ProofInvalid,
    StorageUnavailable,
)
from consent_service.ledger import log as audit
from consent_service.models import Closing, Role
from consent_service.proofs.certificate import CERTIFICATE_TYPE, DeletionCertificate, verify_certificate
from consent_service.proofs.log import verify_export
from consent_service.proofs.records import KeyPurpose, Standing
from consent_service.proofs.statement import sign_statement
from consent_service.proofs.trust import TrustedKeys
from consent_service.service import ConsentService
from tests.assets.aws import Aws
from tests.assets.installation import UNEXAMINED, Installation, Tenant

STEPS = [
    "voice.decommissioned",
    "voice.key_destroyed",
    "voice.clips_deleted",
    "voice.erased",
    "voice.destroyed",
]


def made(world: Tenant, store: Path, text: str = "hello") -> tuple[str, Path]:
    """A clip as a door leaves it: registered, then written, then closed. Its id and its file."""
    redeemed = world.service.gate.redeem(world.allow(text).token, world.replica.replica_id)
    clip_id, digest = redeemed.grant.clip_id, "ab" * 32
    file = store / "clips" / clip_id[-2:] / f"{clip_id}.wav"
    world.service.clips.register_store(str(store), "output", tenant="acme")
    record = redeemed.clip_record(created_at=world.clock.now)
    fields: dict[str, Any] = {"audio_sha256": digest, "seconds": 1.0, "objects": (str(file),)}
    world.service.clips.register_clip(type(record)(**{**_fields(record), **fields}))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"audio of " + text.encode())
    world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, digest))
    return clip_id, file


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def end(world: Tenant) -> DeletionCertificate:
    world.service.deletion.decommission(world.admin, world.voice.voice_id, "the contract ended")
    return certified(world)


def certified(world: Tenant) -> DeletionCertificate:
    trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
    return verify_certificate(world.service.deletion.certificate(world.admin, world.voice.voice_id), trusted)


def ends_in_log(world: Tenant) -> list[str]:
    return [kind for kind in world.kinds() if kind in STEPS]


def test_the_certificate_says_what_was_destroyed_and_verifies_offline(world: Tenant, tmp_path: Path) -> None:
    world.service.clips.register_store(str(tmp_path / "out"), "output", tenant="acme")
    key = world.core.vault.key_digest("acme", world.voice.voice_id)
    made(world, tmp_path / "out")
    found = end(world)
    told = found.account
    assert (found.tenant, found.voice_id, found.finished_at) == (
        "acme",
        world.voice.voice_id,
        world.clock.now,
    )
    assert told["wrapped_key"] == key
    assert told["recordings"]["reference"] == world.voice.prompt_digest
    assert {Path(copy["uri"]).name for copy in told["copies"]} == {
        f"{world.voice.voice_id}.wrapped", "reference.sealed", "statement.sealed",
    }  # fmt: skip
    assert [each["consent_id"] for each in told["consents"]] == [world.consent_id]
    assert (told["clips"]["tombstones"], told["clips"]["copies"]) == (1, 1)
    assert told["clips"]["never_closed"] == 0
    assert told["revocation"]["seq"] == world.service.gate.revocations()[-1].seq
    assert told["backups"] == {**told["backups"], "horizon_days": None, "gone_by": None}
    assert ends_in_log(world) == STEPS
    entry = json.loads(world.service.log.entries(world.auditor, found.leaf, 1)[0])
    assert entry["kind"] == "voice.destroyed"
    written = world.service.deletion.certificate(world.admin, world.voice.voice_id)
    assert not [word for word in ("A Person", "A voice", "contract") if word in written]


@pytest.mark.on_both_databases
def test_every_copy_of_every_clip_is_gone_also_those_that_no_register_knows(
    world: Tenant, tmp_path: Path
) -> None:
    output, cache = tmp_path / "out", tmp_path / "cache"
    world.service.clips.register_store(str(output), "output", tenant="acme")
    world.service.clips.register_store(cache.as_uri(), "cache")
    other = world.enrol("Another", hertz=300.0)
    recorded = world.record(other)
    world.service.tenants.bind_consent(world.admin, world.narrator.key_id, recorded.consent.consent_id)
    clip_id, file = made(world, output)
    left = [
        file.with_name(f".{file.name}.0123456789abcdef0123456789abcdef.tmp"),
        cache / "acme" / "ab" / f"{'c' * 64}.clip.{clip_id}.part",
    ]
    stays = world.allow("not mine", voice_id=other.voice_id).grant.clip_id
    spared = [cache / "acme" / "ab" / f"{'d' * 64}.clip.{stays}.part", output / "results.parquet"]
    for each in [*left, *spared]:
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_bytes(b"x")
    told = end(world).account
    assert not [path for path in [file, *left] if path.exists()]
    assert all(path.exists() for path in spared)
    assert sorted(each["found_unregistered"] for each in told["clips"]["stores"]) == [1, 1]


def test_a_tombstone_outlives_the_voice_and_says_decommissioned(world: Tenant, tmp_path: Path) -> None:
    clip_id, _ = made(world, tmp_path / "out")
    before = world.service.clips.get(world.auditor, clip_id)
    end(world)
    after = world.service.clips.get(world.auditor, clip_id)
    kept = ("clip_id", "watermark", "audio_sha256", "audit_leaf", "voice_id", "consent_id", "purpose")
    assert {name: getattr(after, name) for name in kept} == {name: getattr(before, name) for name in kept}
    assert (after.state, after.objects) == ("tombstone", ())
    standing, _ = world.service.clips.standing(clip_id, after.consent_id, after.consent_version)
    assert standing is Standing.DECOMMISSIONED
    assert after.watermark is not None
    marked = world.service.clips.marked_clip(after.watermark)
    assert marked is not None
    assert marked.clip_id == clip_id
    assert world.rows("SELECT said_digest FROM clips") == [("",)]
    with pytest.raises(GrantRevoked):  # a door that was late finds the grave closed
        world.service.clips.register_clip(before)


@pytest.mark.on_both_databases
def test_names_words_and_salts_are_erased_and_the_log_still_verifies(world: Tenant, tmp_path: Path) -> None:
    salts = dict(world.rows("SELECT object_id, salt FROM salts"))
    assert world.voice.voice_id in salts
    end(world)
    dump = world.dump()
    for word in ("A Person", "A voice", "the contract ended"):
        assert word not in dump
    left = dict(world.rows("SELECT object_id, salt FROM salts"))
    assert not {world.voice.voice_id, world.consent_id} & set(left)
    assert world.rows("SELECT said_salt FROM voices") == [(None,)]
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export").kinds["voice.erased"] == 1


def test_a_commitment_is_opened_by_its_salt_and_by_nothing_once_that_is_gone(world: Tenant) -> None:
    redeemed = world.service.gate.redeem(world.allow("yes").token, world.replica.replica_id)
    ((salt,),) = world.rows("SELECT said_salt FROM voices")
    said = redeemed.grant.said_digest
    entry = world.log()[redeemed.audit_leaf]
    assert entry["said"] == audit.commitment(bytes(salt), said)
    assert said not in json.dumps(world.log())


def test_what_would_be_destroyed_is_told_before_and_is_nothing_afterwards(world: Tenant) -> None:
    world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    voice_id = world.voice.voice_id
    told = world.service.deletion.holdings(world.admin, voice_id)
    assert (told.recordings, told.consents, told.clips) == (2, 1, 1)
    assert told.name == world.voice.name
    assert told.subject_name
    assert told.subject_name not in repr(told)
    world.service.deletion.decommission(world.admin, voice_id, "the end")
    gone = world.service.deletion.holdings(world.admin, voice_id)
    assert (gone.name, gone.subject_name, gone.consents, gone.clips) == ("", None, 0, 0)


def test_a_person_with_another_voice_keeps_their_name(world: Tenant) -> None:
    other = world.enrol("Another", hertz=300.0)
    with world.core.ledger.write() as connection:
        same = "UPDATE voices SET subject_id = (SELECT subject_id FROM voices WHERE voice_id = :a) WHERE voice_id = :b"
        connection.execute(text(same), {"a": world.voice.voice_id, "b": other.voice_id})
    assert end(world).account["erased"]["subject_erased"] is False
    ((subject,),) = world.rows(f"SELECT subject_id FROM voices WHERE voice_id = '{other.voice_id}'")
    assert subject in [row[0] for row in world.rows("SELECT subject_id FROM subjects")]


def test_the_horizon_of_backups_is_the_configured_one(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data", examination=UNEXAMINED, backup_horizon_days=30)
    world = Installation.create(config).tenant()
    backups = end(world).account["backups"]
    assert (backups["horizon_days"], backups["gone_by"]) == (30, world.clock.now + 30 * 86_400)
    world.installation.close()


def test_a_voice_that_is_still_being_enrolled_is_refused_in_review_instead(world: Tenant) -> None:
    begun = world.service.voices.begin_enrolment(
        world.admin, name="Half", language="en", grantee="studio", purpose="narration", subject_name="S"
    )
    with pytest.raises(Conflict, match="still being enrolled"):
        world.service.deletion.decommission(world.admin, begun.voice_id, "the end")


def test_what_an_outbox_holds_for_the_person_goes_too_and_nobody_else_s(world: Tenant) -> None:
    other = world.enrol("Another", hertz=300.0)
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "person@example.org")
    world.service.subjects.propose_contact(world.admin, other.voice_id, "another@example.org")
    outbox = world.data_dir / "outbox"
    assert len(list(outbox.glob("*.eml"))) == 2
    end(world)
    (left,) = outbox.glob("*.eml")
    assert b"another@example.org" in left.read_bytes()
    assert "person@example.org" not in world.dump()


def test_a_store_has_a_place_and_a_kind(world: Tenant) -> None:
    with pytest.raises(InvalidInput):
        world.service.clips.register_store("", "cache")
    world.service.clips.register_store("/somewhere", "cache")
    world.service.clips.register_store("/somewhere", "cache")
    assert world.rows("SELECT uri FROM clip_stores") == [("/somewhere",)]


BREAKABLE: list[tuple[Any, str]] = [
    (decommission, "_name_what_goes"),
    (decommission, "_destroy"),
    (decommission, "_record_destroyed"),
    (clips, "delete_clips"),
    (clips, "search_stores"),
    (clips, "account"),
    (clips, "forget_places"),
    (erase, "erase"),
    (erase, "scrub"),
    (certify, "_account"),
    (certify, "sign_certificate"),
    (decommission, "_advance"),
]


@pytest.mark.on_both_databases
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), BREAKABLE, ids=[name for _, name in BREAKABLE])
def test_interrupted_anywhere_it_is_finished_by_the_next_call(
    world: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: bool
) -> None:
    world.service.clips.register_store(str(tmp_path / "out"), "output", tenant="acme")
    _, file = made(world, tmp_path / "out")
    whole: Callable[..., Any] = getattr(module, name)

    def broken(*arguments: Any, **named: Any) -> Any:
        if after:
            whole(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, name, broken)
        if module is decommission:
            steps = [
                decommission._Step(
                    step.name, *(broken if f is whole else f for f in (step.work, step.record))
                )
                for step in decommission._STEPS
            ]
            patched.setattr(decommission, "_STEPS", tuple(steps))
        with pytest.raises(KeyboardInterrupt):
            world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert world.service.voices.get(world.admin, world.voice.voice_id).state == "decommissioned"
    with pytest.raises(NotFound, match="no certificate"):
        world.service.deletion.certificate(world.admin, world.voice.voice_id)
    (finished,) = world.service.deletion.resume(world.admin)
    assert finished.voice_id == world.voice.voice_id
    assert world.service.deletion.resume(world.admin) == []
    assert ends_in_log(world) == STEPS
    assert not file.exists()
    assert certified(world).account["clips"]["copies"] == 1
    assert not list(world.data_dir.rglob(f"*{world.voice.voice_id}*"))


@pytest.mark.on_both_databases
def test_two_at_once_end_the_voice_once(world: Tenant) -> None:
    def go(_: int) -> str:
        return world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end").state

    with ThreadPoolExecutor(4) as hands:
        assert set(hands.map(go, range(4))) == {"decommissioned"}
    assert ends_in_log(world) == STEPS
    certified(world)


def test_a_store_that_can_not_be_searched_leaves_the_voice_silent_and_the_certificate_unsigned(
    world: Tenant,
) -> None:
    world.service.clips.register_store("gs://elsewhere/clips", "output", tenant="acme")
    with pytest.raises(StorageUnavailable):
        world.service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert world.service.gate.authorize(world.narrator, world.claim()) == ANY_DENIAL
    with pytest.raises(NotFound):
        world.service.deletion.certificate(world.admin, world.voice.voice_id)


class _AnyDenial:
    def __eq__(self, other: object) -> bool:
        return not other


ANY_DENIAL = _AnyDenial()


def test_in_a_versioned_bucket_every_version_of_recordings_and_clips_is_destroyed(
    world: Tenant, aws: Aws, tmp_path: Path
) -> None:
    bucket = aws.bucket(versioned=True)
    place = f"s3://{bucket}"
    config = ConsentConfig(
        data_dir=tmp_path / "cloud",
        examination=UNEXAMINED,
        vault_url=f"{place}/vault",
        wrapped_keys_url=f"{place}/keys",
    )
    there = Installation.create(config).tenant()
    there.service.clips.register_store(f"{place}/clips", "cache")
    redeemed = there.service.gate.redeem(there.allow().token, there.replica.replica_id)
    clip_id = redeemed.grant.clip_id
    record = redeemed.clip_record(created_at=there.clock.now)
    uri = f"{place}/clips/acme/ab/{'e' * 64}.clip"
    fields: dict[str, Any] = {"audio_sha256": "ab" * 32, "seconds": 1.0, "objects": (uri,)}
    there.service.clips.register_clip(type(record)(**{**_fields(record), **fields}))
    s3 = aws.client("s3")
    for key in (f"clips/acme/ab/{'e' * 64}.clip", f"clips/acme/ab/{'e' * 64}.clip.{clip_id}.part"):
        for version in (b"one", b"two"):
            s3.put_object(Bucket=bucket, Key=key, Body=version)
        s3.delete_object(Bucket=bucket, Key=key)
    assert len(aws.copies(bucket)) >= 3 + 2 * 3
    told = end(there).account
    assert aws.copies(bucket) == []
    versions = [copy for copy in told["copies"] if copy["version_id"] not in (None, "null")]
    assert len(versions) == len(told["copies"]) >= 3
    assert told["clips"]["stores"][0]["found_unregistered"] == 1
    there.service.close()


def test_who_may_not_decommission_may_not_resume_nor_sweep_nor_see_the_certificate(world: Tenant) -> None:
    end(world)
    narrator = world.key(Role.NARRATOR)
    for attempt in (
        lambda: world.service.deletion.resume(narrator),
        lambda: world.service.deletion.sweep_voices(narrator),
        lambda: world.service.deletion.certificate(narrator, world.voice.voice_id),
        lambda: world.service.deletion.keep_until(narrator, world.voice.voice_id, None),
    ):
        with pytest.raises(ConsentError) as refused:
            attempt()
        assert refused.value.code == "permission_denied"


def test_another_tenant_sees_no_certificate(world: Tenant) -> None:
    end(world)
    other = world.installation.tenant("other")
    with pytest.raises(NotFound):
        world.service.deletion.certificate(other.admin, world.voice.voice_id)


def test_a_certificate_of_another_installation_or_about_another_voice_is_refused(
    world: Tenant, tmp_path: Path
) -> None:
    end(world)
    mine = world.service.deletion.certificate(world.admin, world.voice.voice_id)
    elsewhere = Installation.create(tmp_path / "elsewhere").tenant()
    theirs = TrustedKeys.from_text(elsewhere.service.exports.trusted_keys(elsewhere.auditor))
    with pytest.raises(ProofInvalid):
        verify_certificate(mine, theirs)
    trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
    with pytest.raises(ProofInvalid):  # the statement's key alone is not enough: the log must be trusted, too
        verify_certificate(mine, TrustedKeys((), trusted.statements))
    elsewhere.service.close()


def test_a_certificate_that_the_log_does_not_bear_out_is_refused_whoever_signed_it(world: Tenant) -> None:
    end(world)
    trusted = TrustedKeys.from_text(world.service.exports.trusted_keys(world.auditor))
    told = json.loads(world.service.deletion.certificate(world.admin, world.voice.voice_id))["statement"]
    account, log = told["account"], told["log"]
    earlier = world.service.log.entries(world.auditor, log["leaf"] - 1, 1)[0]
    early_path = world.service.log.inclusion_proof(world.auditor, log["leaf"] - 1, log["leaf"] + 1)
    forged: list[dict[str, Any]] = [
        {"account": {**account, "finished_at": 1.0}, "log": log},
        {"account": account, "log": {**log, "path": [*log["path"][:-1], "00" * 32]}},
        {"account": account, "log": {**log, "leaf": log["leaf"] - 1}},
        {"account": account, "log": {**log, "entry": log["entry"].replace("destroyed", "destroyex")}},
        {
            "account": account,
            "log": {
                **log, "entry": earlier, "leaf": log["leaf"] - 1, "path": [node.hex() for node in early_path],
            },
        },
        {"account": account},
        {"account": account, "log": {**log, "path": 5}},
        {"account": [], "log": log},
    ]  # fmt: skip

    def sign(body: dict[str, Any]) -> str:
        return sign_statement(
            CERTIFICATE_TYPE, body, lambda message: world.service.keys.sign(KeyPurpose.RECEIPT, message)
        )

    verify_certificate(sign({"account": account, "log": log}), trusted)
    other = sign_statement(
        "vouch.another-statement.v1", {"account": account, "log": log},
        lambda message: world.service.keys.sign(KeyPurpose.RECEIPT, message),
    )  # fmt: skip
    with pytest.raises(ProofInvalid):  # what was signed as something else
        verify_certificate(other, trusted)
    for body in forged:
        with pytest.raises(ProofInvalid):
            verify_certificate(sign(body), trusted)


def test_a_reader_that_holds_old_pages_keeps_the_certificate_back(world: Tenant) -> None:
    hasty = ConsentService.open(world.config.model_copy(update={"busy_timeout_s": 0.1}), clock=world.clock)
    with world.core.ledger.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM subjects")).scalar()
        with pytest.raises(LedgerUnavailable, match="old pages"):
            hasty.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    with pytest.raises(NotFound):
        hasty.deletion.certificate(world.admin, world.voice.voice_id)
    hasty.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    hasty.close()
    certified(world)

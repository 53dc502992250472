"""No query without a tenant (DESIGN I9): every statement that an operation sends to the database is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from consent_service.errors import ConsentError
from consent_service.ledger.tables import metadata
from consent_service.models import Closing, EnrolmentAnswer, Role
from consent_service.proofs.records import Standing, WatermarkTag
from consent_service.vault.sealing import load_node_secret, spoken_proof
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced
from tests.unit.consent_service.operations import OPERATIONS
from tests.unit.consent_service.post import letters

pytestmark = pytest.mark.on_both_databases

TABLES = sorted(metadata.tables)
# Where the tenant is what a look-up is there to find, or where rows belong to the installation. Each is by a random id
# of 128 bits or more (or, for a mark, by what was found in a clip), and what it returns is checked before it counts.
EXCEPTIONS: dict[str, str] = {
    "api_keys.key_id =": "who is calling",
    "redemptions.grant_id =": "whose grant is being closed",
    "clips.clip_id =": "whose clip was found in the wild",
    "clips.watermark_epoch =": "whose clip carries this mark",
    "replicas.replica_id =": "replicas serve every tenant",
    "replicas.registered_at <": "and are forgotten for every tenant",
    "FROM tenants": "is the ledger there, and how many tenants has it",
    "revocations.seq >": "the feed of gates and replicas that serve every tenant",
    "max(revocations.seq)": "where that feed stands",
}
_USED = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)")


@contextmanager
def watched(world: Tenant) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(" ".join(statement.split()))

    engine = world.core.ledger.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def without_a_tenant(statement: str) -> set[str]:
    """The tables that a statement touches without saying whose rows it means."""
    if any(known in statement for known in EXCEPTIONS):
        return set()
    touched = {name for name in _USED.findall(statement) if name in TABLES}
    if statement.startswith("INSERT"):
        columns = statement.partition("(")[2].partition(")")[0]
        return set() if "tenant" in re.split(r"[\s,]+", columns) else touched
    joined = re.findall(r" ON (.*?)(?= WHERE | JOIN | LEFT |$)", statement)
    where = " ".join([statement.partition(" WHERE ")[2], *joined])
    alone = len(touched) == 1
    return {
        table
        for table in touched
        if not re.search(rf"\b{table}\.tenant (=|IN)|= {table}\.tenant\b", where)
        and not (alone and re.search(r"(?<![\w.])tenant (=|IN)", where))
    }


def everything(world: Tenant) -> None:
    """Every operation, by somebody who may: not only the refusals."""
    service, replica = world.service, world.replica.replica_id
    allowed = world.allow()
    claims = [world.claim(), world.claim(purpose="advertising"), world.claim(consent_token="no")]
    service.gate.authorize_many(world.narrator, claims)
    redeemed = service.gate.redeem(allowed.token, replica)
    clip_id = redeemed.grant.clip_id
    record = service.clips.find_clip("acme", clip_id)
    assert record is not None
    service.clips.register_clip(replace(record, audio_sha256="ab" * 32, seconds=1.0, fingerprint=b"f"))
    service.gate.close(redeemed.grant.grant_id, Closing("completed"))
    service.gate.redeem_cached(world.allow().token, clip_id)
    service.clips.release(world.narrator, clip_id)
    assert service.clips.standing(clip_id, world.consent_id, 1)[0] is Standing.LIVE
    service.clips.knows_clip(clip_id, "ab" * 32)
    service.clips.marked_clip(record.watermark or WatermarkTag(1, 1))
    service.gate.revocations()
    service.ready()
    service.gate.backlog()
    with suppress(ConsentError):
        service.gate.redeem(allowed.token, replica)
    design = service.gate.redeem(world.allow(mode="design", voice_id="").token, replica).grant
    proof = spoken_proof(load_node_secret(world.data_dir), replica, design.grant_id)
    service.gate.report_design(design.grant_id, replica, proof, "cd" * 32)
    service.tenants.bind_consent(world.admin, world.narrator.key_id, world.consent_id)
    service.subjects.propose_contact(world.admin, world.voice.voice_id, "mary@example.org")
    service.self_service.confirm_contact(letters(world.data_dir)[-1].token)
    service.self_service.request_sign_in("acme", "mary@example.org")
    person = service.authenticate(service.self_service.sign_in(letters(world.data_dir)[-1].token).api_key)
    service.self_service.own_voices(person)
    service.self_service.own_consents(person)
    assert service.self_service.own_uses(person).uses
    service.self_service.own_receipt(person, world.consent_id)
    second = world.enrol("Another", 220.0)
    service.consents.narrow(world.admin, world.record(second).consent.consent_id, purposes=["narration.news"])
    challenge = service.voices.begin_enrolment(
        world.admin, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
    )
    service.voices.complete_enrolment(
        world.admin,
        challenge.enrolment_id,
        EnrolmentAnswer(reference=voiced(4.0), transcript="t", statement=voiced(3.5)),
    )
    service.voices.review(world.reviewer, challenge.voice_id, approve=False)
    keys = {
        role: world.key(role, purposes=("narration",), voices=("*",))
        for role in Role
        if role is not Role.SUBJECT
    }
    for permission, operation in OPERATIONS.values():
        for by in (*keys.values(), person):
            with suppress(ConsentError):
                operation(world, by)
        assert permission
    service.deletion.decommission(world.admin, second.voice_id, "the end")


def test_every_statement_names_the_tenant_of_every_table_it_touches(world: Tenant) -> None:
    with watched(world) as statements:
        everything(world)
    looked_at = {name for statement in statements for name in _USED.findall(statement)} & set(TABLES)
    # Tables that no operation of this room writes or reads would make the test say nothing of them.
    assert set(TABLES) - looked_at == set()
    loose = {statement: tables for statement in statements if (tables := without_a_tenant(statement))}
    assert loose == {}


@pytest.mark.parametrize(
    ("statement", "loose"),
    [
        ("SELECT voices.name FROM voices WHERE voices.voice_id = ?", {"voices"}),
        (
            "SELECT 1 FROM voices JOIN consents ON consents.voice_id = voices.voice_id WHERE voices.tenant = ?",
            {"consents"},
        ),
        ("UPDATE consents SET tenant=? WHERE consents.consent_id = ?", {"consents"}),
        ("DELETE FROM salts WHERE salts.object_id = ?", {"salts"}),
        ("INSERT INTO salts (object_id, field) VALUES (?, ?)", {"salts"}),
        ("INSERT INTO salts (object_id, tenant) VALUES (?, ?)", set()),
        ("SELECT 1 FROM voices WHERE voices.tenant = ? AND voices.voice_id = ?", set()),
    ],
)
def test_the_test_sees_what_is_missing(statement: str, loose: set[str]) -> None:
    assert without_a_tenant(statement) == loose

"""Every operation of the service that takes a principal, and the right that it asks for: the cells of the permission
table, and what the walls between tenants are tested with. An operation that is missing here fails a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from consent_service.access import Permission
from consent_service.http.platform import Parts
from consent_service.models import Claims, Closing, Principal, Role
from consent_service.proofs.seams import ClipRecord
from consent_service.self_service.service import Person
from consent_service.service import ConsentService
from tests.unit.consent_service.world import World, tone

P = Permission
Operation: TypeAlias = tuple[Permission, Callable[[World, Principal], Any]]

OPERATIONS: Mapping[str, Operation] = {
    "create_api_key": (
        P.KEY_MANAGE,
        lambda w, by: w.service.create_api_key(by, grantee="g", roles=[Role.JOB], claims=Claims()),
    ),
    "revoke_api_key": (P.KEY_MANAGE, lambda w, by: w.service.revoke_api_key(by, w.narrator.key_id)),
    "api_keys": (P.KEY_MANAGE, lambda w, by: w.service.api_keys(by)),
    "bind_consent": (
        P.KEY_BIND,
        lambda w, by: w.service.bind_consent(by, w.narrator.key_id, w.consent_id),
    ),
    "rotate_keys": (P.KEY_ROTATE, lambda w, by: w.service.rotate_keys(by)),
    "retire_keys": (P.KEY_ROTATE, lambda w, by: w.service.retire_keys(by)),
    "begin_enrolment": (
        P.VOICE_ENROL,
        lambda w, by: w.service.begin_enrolment(
            by, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
        ),
    ),
    "complete_enrolment": (
        P.VOICE_ENROL,
        lambda w, by: w.service.complete_enrolment(
            by, "enrolment_x", reference=tone(3.1), transcript="t", statement=tone(3.1)
        ),
    ),
    "begin_statement": (
        P.VOICE_ENROL,
        lambda w, by: w.service.begin_statement(by, w.voice.voice_id, grantee="g", purpose="narration"),
    ),
    "complete_statement": (
        P.VOICE_ENROL,
        lambda w, by: w.service.complete_statement(by, "statement_x", statement=tone(3.1)),
    ),
    "under_review": (P.VOICE_REVIEW, lambda w, by: w.service.under_review(by, w.voice.voice_id)),
    "open_statement": (P.VOICE_REVIEW, lambda w, by: w.service.open_statement(by, w.voice.voice_id)),
    "keep_designed_voice": (
        P.VOICE_ENROL,
        lambda w, by: w.service.keep_designed_voice(
            by, name="n", language="en", reference=tone(3.1), transcript="t", clip_id="c"
        ),
    ),
    "review_enrolment": (
        P.VOICE_REVIEW,
        lambda w, by: w.service.review_enrolment(by, w.voice.voice_id, approve=True),
    ),
    "voices": (P.VOICE_READ, lambda w, by: w.service.voices(by)),
    "voice": (P.VOICE_READ, lambda w, by: w.service.voice(by, w.voice.voice_id)),
    "keep_voice_until": (
        P.VOICE_ENROL,
        lambda w, by: w.service.keep_voice_until(by, w.voice.voice_id, w.clock.now + 1.0),
    ),
    "record_consent": (
        P.CONSENT_RECORD,
        lambda w, by: w.service.record_consent(by, voice_id=w.voice.voice_id, terms=w.terms()),
    ),
    "narrow_consent": (
        P.CONSENT_RECORD,
        lambda w, by: w.service.narrow_consent(by, w.consent_id, purposes=["narration"]),
    ),
    "consent": (P.CONSENT_READ, lambda w, by: w.service.consent(by, w.consent_id)),
    "consents": (P.CONSENT_READ, lambda w, by: w.service.consents(by)),
    "receipt": (P.CONSENT_READ, lambda w, by: w.service.receipt(by, w.consent_id)),
    "certificate": (P.CONSENT_READ, lambda w, by: w.service.certificate(by, w.voice.voice_id)),
    "propose_contact": (
        P.CONTACT_PROPOSE,
        lambda w, by: w.service.propose_contact(by, w.voice.voice_id, "person@example.org"),
    ),
    "authorize": (P.SPEAK, lambda w, by: w.service.authorize(by, w.claim())),
    "authorize_many": (P.SPEAK, lambda w, by: w.service.authorize_many(by, [w.claim()])),
    "clip": (P.CLIP_READ, lambda w, by: w.service.clip(by, "clip")),
    "release_clip": (P.CLIP_READ, lambda w, by: w.service.release_clip(by, "clip")),
    "export_audit": (P.AUDIT_READ, lambda w, by: w.service.export_audit(by, w.data_dir / "export")),
    "checkpoint": (P.AUDIT_READ, lambda w, by: w.service.checkpoint(by)),
    "audit_entries": (P.AUDIT_READ, lambda w, by: w.service.audit_entries(by)),
    "inclusion_proof": (P.AUDIT_READ, lambda w, by: w.service.inclusion_proof(by, 0, 1)),
    "consistency_proof": (P.AUDIT_READ, lambda w, by: w.service.consistency_proof(by, 1, 1)),
    "export_bundle": (P.AUDIT_READ, lambda w, by: w.service.export_bundle(by, w.data_dir / "bundle")),
    "standings": (P.AUDIT_READ, lambda w, by: w.service.standings(by)),
    "trusted_keys": (P.AUDIT_READ, lambda w, by: w.service.trusted_keys(by)),
    "close_abandoned": (P.KEY_MANAGE, lambda w, by: w.service.close_abandoned(by)),
    "forget_replicas": (P.REPLICA_FORGET, lambda w, by: w.service.forget_replicas(by, 3600.0)),
    "own_voices": (P.OWN_READ, lambda w, by: w.service.person.own_voices(by)),
    "own_consents": (P.OWN_READ, lambda w, by: w.service.person.own_consents(by)),
    "own_uses": (P.OWN_READ, lambda w, by: w.service.person.own_uses(by)),
    "own_receipt": (P.OWN_READ, lambda w, by: w.service.person.own_receipt(by, w.consent_id)),
    "own_certificate": (P.OWN_READ, lambda w, by: w.service.person.own_certificate(by, w.voice.voice_id)),
    "revoke_own_consent": (P.OWN_REVOKE, lambda w, by: w.service.person.revoke_own_consent(by, w.consent_id)),
    # The parts of a platform.
    "register_replica": (
        P.REPLICA_REGISTER,
        lambda w, by: parts(w).register_replica(by, "elsewhere", bytes(32), bytes(32)),
    ),
    "watermark_key": (P.REPLICA_REGISTER, lambda w, by: parts(w).watermark_key(by, w.replica.replica_id, 1)),
    "redeem": (P.GRANT_REDEEM, lambda w, by: parts(w).redeem(by, w.allow().token, w.replica.replica_id)),
    "redeem_cached": (P.GRANT_REDEEM, lambda w, by: parts(w).redeem_cached(by, w.allow().token, "clip")),
    "report_design": (
        P.GRANT_REDEEM,
        lambda w, by: parts(w).report_design(by, "grant", w.replica.replica_id, bytes(32), "0" * 64),
    ),
    "revocations": (P.FEED_READ, lambda w, by: parts(w).revocations(by)),
    "register_clip": (P.CLIP_WRITE, lambda w, by: parts(w).register_clip(by, no_clip(w))),
    "close_clip": (P.CLIP_CLOSE, lambda w, by: parts(w).close_clip(by, "grant", Closing("completed"))),
    "find_clip": (P.CLIP_LOOK_UP, lambda w, by: parts(w).find_clip(by, "clip")),
    "standing": (P.CLIP_LOOK_UP, lambda w, by: parts(w).standing(by, "clip", None, None)),
    # What ends something comes last.
    "sign_out": (P.OWN_READ, lambda w, by: w.service.person.sign_out(by)),
    "revoke_consent": (P.CONSENT_REVOKE, lambda w, by: w.service.revoke_consent(by, w.consent_id, "no more")),
    "sweep_vault": (P.VOICE_DECOMMISSION, lambda w, by: w.service.sweep_vault(by)),
    "sweep_voices": (P.VOICE_DECOMMISSION, lambda w, by: w.service.sweep_voices(by)),
    "resume_decommissions": (P.VOICE_DECOMMISSION, lambda w, by: w.service.resume_decommissions(by)),
    "decommission_own_voice": (
        P.OWN_DECOMMISSION,
        lambda w, by: w.service.person.decommission_own_voice(by, "voice", "the end"),
    ),
    "decommission": (
        P.VOICE_DECOMMISSION,
        lambda w, by: w.service.decommission(by, w.voice.voice_id, "the end"),
    ),
}


def asking_for_a_principal() -> set[str]:
    """The public methods of service, person and parts whose first argument is the caller."""
    return {
        name
        for owner in (ConsentService, Parts, Person)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_") and next(iter(list(inspect.signature(method).parameters)[1:]), "") == "by"
    }


def parts(world: World) -> Parts:
    return world.service.parts


def no_clip(world: World) -> ClipRecord:
    return ClipRecord(
        clip_id="clip", tenant=world.admin.tenant, voice_id="", basis="design", consent_id=None, consent_version=None,
        purpose="narration", grantee="", audit_leaf=0, audio_sha256="", seconds=0.0, created_at=0.0,
    )  # fmt: skip

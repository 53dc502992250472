"""Every operation of the service that takes a principal, and the right that it asks for: the cells of the permission
table, and what the walls between tenants are tested with. An operation that is missing here fails a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from consent_service.access import Permission
from consent_service.gate.platform import PlatformApi
from consent_service.models import Claims, Closing, EnrolmentAnswer, Narrowing, Principal, Role
from consent_service.proofs.records import ClipRecord
from consent_service.service import ConsentService
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced

P = Permission
Operation: TypeAlias = tuple[Permission, Callable[[Tenant, Principal], Any]]

OPERATIONS: Mapping[str, Operation] = {
    "tenants.create_key": (
        P.KEY_MANAGE,
        lambda w, by: w.service.tenants.create_key(by, grantee="g", roles=[Role.JOB], claims=Claims()),
    ),
    "tenants.revoke_key": (P.KEY_MANAGE, lambda w, by: w.service.tenants.revoke_key(by, w.narrator.key_id)),
    "tenants.list_keys": (P.KEY_MANAGE, lambda w, by: w.service.tenants.list_keys(by)),
    "tenants.bind_consent": (
        P.KEY_BIND,
        lambda w, by: w.service.tenants.bind_consent(by, w.narrator.key_id, w.consent_id),
    ),
    "rotation.rotate": (P.KEY_ROTATE, lambda w, by: w.service.rotation.rotate(by)),
    "rotation.retire": (P.KEY_ROTATE, lambda w, by: w.service.rotation.retire(by)),
    "voices.begin_enrolment": (
        P.VOICE_ENROL,
        lambda w, by: w.service.voices.begin_enrolment(
            by, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
        ),
    ),
    "voices.complete_enrolment": (
        P.VOICE_ENROL,
        lambda w, by: w.service.voices.complete_enrolment(
            by, "enrolment_x", EnrolmentAnswer(reference=voiced(3.1), transcript="t", statement=voiced(3.1))
        ),
    ),
    "voices.doubts": (P.VOICE_ENROL, lambda w, by: w.service.voices.doubts(by, "enrolment_x")),
    "voices.begin_statement": (
        P.VOICE_ENROL,
        lambda w, by: w.service.voices.begin_statement(
            by, w.voice.voice_id, grantee="g", purpose="narration"
        ),
    ),
    "voices.complete_statement": (
        P.VOICE_ENROL,
        lambda w, by: w.service.voices.complete_statement(by, "statement_x", statement=voiced(3.1)),
    ),
    "voices.under_review": (
        P.VOICE_REVIEW,
        lambda w, by: w.service.voices.under_review(by, w.voice.voice_id),
    ),
    "voices.open_statement": (
        P.VOICE_REVIEW,
        lambda w, by: w.service.voices.open_statement(by, w.voice.voice_id),
    ),
    "voices.keep_designed": (
        P.VOICE_ENROL,
        lambda w, by: w.service.voices.keep_designed(
            by, name="n", language="en", reference=voiced(3.1), transcript="t", clip_id="c"
        ),
    ),
    "voices.review": (
        P.VOICE_REVIEW,
        lambda w, by: w.service.voices.review(by, w.voice.voice_id, approve=True),
    ),
    "voices.list_all": (P.VOICE_READ, lambda w, by: w.service.voices.list_all(by)),
    "voices.get": (P.VOICE_READ, lambda w, by: w.service.voices.get(by, w.voice.voice_id)),
    "deletion.holdings": (
        P.VOICE_DECOMMISSION,
        lambda w, by: w.service.deletion.holdings(by, w.voice.voice_id),
    ),
    "deletion.keep_until": (
        P.VOICE_ENROL,
        lambda w, by: w.service.deletion.keep_until(by, w.voice.voice_id, w.clock.now + 1.0),
    ),
    "consents.record": (
        P.CONSENT_RECORD,
        lambda w, by: w.service.consents.record(by, voice_id=w.voice.voice_id, terms=w.terms()),
    ),
    "consents.clips_lost": (
        P.CONSENT_RECORD,
        lambda w, by: w.service.consents.clips_lost(by, w.consent_id, Narrowing(purposes=("narration",))),
    ),
    "consents.narrow": (
        P.CONSENT_RECORD,
        lambda w, by: w.service.consents.narrow(by, w.consent_id, purposes=["narration"]),
    ),
    "consents.get": (P.CONSENT_READ, lambda w, by: w.service.consents.get(by, w.consent_id)),
    "consents.list_all": (P.CONSENT_READ, lambda w, by: w.service.consents.list_all(by)),
    "consents.receipt": (P.CONSENT_READ, lambda w, by: w.service.consents.receipt(by, w.consent_id)),
    "deletion.certificate": (
        P.CONSENT_READ,
        lambda w, by: w.service.deletion.certificate(by, w.voice.voice_id),
    ),
    "subjects.propose_contact": (
        P.CONTACT_PROPOSE,
        lambda w, by: w.service.subjects.propose_contact(by, w.voice.voice_id, "person@example.org"),
    ),
    "gate.authorize": (P.SPEAK, lambda w, by: w.service.gate.authorize(by, w.claim())),
    "gate.authorize_many": (P.SPEAK, lambda w, by: w.service.gate.authorize_many(by, [w.claim()])),
    "clips.get": (P.CLIP_READ, lambda w, by: w.service.clips.get(by, "clip")),
    "clips.release": (P.CLIP_READ, lambda w, by: w.service.clips.release(by, "clip")),
    "log.export": (P.AUDIT_READ, lambda w, by: w.service.log.export(by, w.data_dir / "export")),
    "log.checkpoint": (P.AUDIT_READ, lambda w, by: w.service.log.checkpoint(by)),
    "log.entries": (P.AUDIT_READ, lambda w, by: w.service.log.entries(by)),
    "log.inclusion_proof": (P.AUDIT_READ, lambda w, by: w.service.log.inclusion_proof(by, 0, 1)),
    "log.consistency_proof": (P.AUDIT_READ, lambda w, by: w.service.log.consistency_proof(by, 1, 1)),
    "exports.write_bundle": (
        P.AUDIT_READ,
        lambda w, by: w.service.exports.write_bundle(by, w.data_dir / "bundle"),
    ),
    "exports.standings": (P.AUDIT_READ, lambda w, by: w.service.exports.standings(by)),
    "exports.trusted_keys": (P.AUDIT_READ, lambda w, by: w.service.exports.trusted_keys(by)),
    "gate.close_abandoned": (P.KEY_MANAGE, lambda w, by: w.service.gate.close_abandoned(by)),
    "gate.forget_replicas": (P.REPLICA_FORGET, lambda w, by: w.service.gate.forget_replicas(by, 3600.0)),
    "self_service.own_voices": (P.OWN_READ, lambda w, by: w.service.self_service.own_voices(by)),
    "self_service.own_consents": (P.OWN_READ, lambda w, by: w.service.self_service.own_consents(by)),
    "self_service.own_uses": (P.OWN_READ, lambda w, by: w.service.self_service.own_uses(by)),
    "self_service.own_receipt": (
        P.OWN_READ,
        lambda w, by: w.service.self_service.own_receipt(by, w.consent_id),
    ),
    "self_service.own_certificate": (
        P.OWN_READ,
        lambda w, by: w.service.self_service.own_certificate(by, w.voice.voice_id),
    ),
    "self_service.revoke_own_consent": (
        P.OWN_REVOKE,
        lambda w, by: w.service.self_service.revoke_own_consent(by, w.consent_id),
    ),
    # The parts of a platform.
    "platform.register_replica": (
        P.REPLICA_REGISTER,
        lambda w, by: parts(w).register_replica(by, "elsewhere", bytes(32), bytes(32)),
    ),
    "platform.watermark_key": (
        P.REPLICA_REGISTER,
        lambda w, by: parts(w).watermark_key(by, w.replica.replica_id, 1),
    ),
    "platform.redeem": (
        P.GRANT_REDEEM,
        lambda w, by: parts(w).redeem(by, w.allow().token, w.replica.replica_id),
    ),
    "platform.redeem_cached": (
        P.GRANT_REDEEM,
        lambda w, by: parts(w).redeem_cached(by, w.allow().token, "clip"),
    ),
    "platform.report_design": (
        P.GRANT_REDEEM,
        lambda w, by: parts(w).report_design(by, "grant", w.replica.replica_id, bytes(32), "0" * 64),
    ),
    "platform.revocations": (P.FEED_READ, lambda w, by: parts(w).revocations(by)),
    "platform.register_clip": (P.CLIP_WRITE, lambda w, by: parts(w).register_clip(by, no_clip(w))),
    "platform.close_clip": (
        P.CLIP_CLOSE,
        lambda w, by: parts(w).close_clip(by, "grant", Closing("completed")),
    ),
    "platform.find_clip": (P.CLIP_LOOK_UP, lambda w, by: parts(w).find_clip(by, "clip")),
    "platform.standing": (P.CLIP_LOOK_UP, lambda w, by: parts(w).standing(by, "clip", None, None)),
    # What ends something comes last.
    "self_service.sign_out": (P.OWN_READ, lambda w, by: w.service.self_service.sign_out(by)),
    "consents.revoke": (
        P.CONSENT_REVOKE,
        lambda w, by: w.service.consents.revoke(by, w.consent_id, "no more"),
    ),
    "deletion.sweep_vault": (P.VOICE_DECOMMISSION, lambda w, by: w.service.deletion.sweep_vault(by)),
    "deletion.sweep_voices": (P.VOICE_DECOMMISSION, lambda w, by: w.service.deletion.sweep_voices(by)),
    "deletion.resume": (P.VOICE_DECOMMISSION, lambda w, by: w.service.deletion.resume(by)),
    "self_service.decommission_own_voice": (
        P.OWN_DECOMMISSION,
        lambda w, by: w.service.self_service.decommission_own_voice(by, "voice", "the end"),
    ),
    "deletion.decommission": (
        P.VOICE_DECOMMISSION,
        lambda w, by: w.service.deletion.decommission(by, w.voice.voice_id, "the end"),
    ),
}


DOMAINS = (
    "tenants", "subjects", "voices", "consents", "gate", "clips", "platform", "self_service", "deletion", "rotation",
    "exports", "log",
)  # fmt: skip


def asking_for_a_principal(service: ConsentService) -> set[str]:
    """The public operations of every domain whose first argument is the caller, as `domain.operation`."""
    return {
        f"{domain}.{name}"
        for domain in DOMAINS
        for name, operation in inspect.getmembers(getattr(service, domain), inspect.ismethod)
        if not name.startswith("_") and next(iter(inspect.signature(operation).parameters), "") == "by"
    }


def parts(world: Tenant) -> PlatformApi:
    return world.service.platform


def no_clip(world: Tenant) -> ClipRecord:
    return ClipRecord(
        clip_id="clip", tenant=world.admin.tenant, voice_id="", basis="design", consent_id=None, consent_version=None,
        purpose="narration", grantee="", audit_leaf=0, audio_sha256="", seconds=0.0, created_at=0.0,
    )  # fmt: skip

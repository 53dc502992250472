"""The consent service as the doors see it: one object, every operation a transaction.

Every method takes the caller's `Principal` (except `authenticate`) and checks its permission; every query
carries its tenant. Methods are synchronous, thread-safe and may block on the disk: call them off an event
loop. What each does lives in the module that it calls; this one only names the operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from consent_service import access
from consent_service.clips import closings, data_keys, register, stores, watermarks
from consent_service.config import ConsentConfig
from consent_service.consents import records as consents
from consent_service.core import Core
from consent_service.deletion import decommission, orphans, retention
from consent_service.errors import Unauthenticated
from consent_service.examination.examiner import Examiner
from consent_service.examination.marks import Known
from consent_service.exports import bundle, log
from consent_service.gate import abandoned, authorize, redeem, replicas, revocations
from consent_service.gate.limits import Limits
from consent_service.gate.revocations import RevocationStream
from consent_service.http.platform import Parts
from consent_service.mail import Messenger
from consent_service.models import (
    Allow,
    Challenge,
    Claims,
    Closing,
    Consent,
    ConsentTerms,
    ContactState,
    Deny,
    KeyInfo,
    Narrowing,
    Principal,
    RecordedConsent,
    Redeemed,
    Revocation,
    Role,
    SpeechClaim,
    UnderReview,
    Voice,
)
from consent_service.opening import open_core
from consent_service.proofs.seams import ClipRecord, KeyProvider, KeyPurpose, Standing, WatermarkTag
from consent_service.rotation import rotate, signing_certificate
from consent_service.rotation.rewrap import ProgressCallback
from consent_service.rotation.rotate import KeyKind, Retired, Rotated
from consent_service.rotation.signing_certificate import LeafOutlook
from consent_service.self_service.service import Person
from consent_service.subjects import contacts
from consent_service.tenants import keys as tenants
from consent_service.vault import sealing
from consent_service.voices import designed, enrolment, review, statements
from consent_service.voices import records as voices


class ConsentService:
    """One open ledger, vault and key provider. Stays in its process: others open their own."""

    def __init__(self, core: Core, messenger: Messenger | None = None) -> None:
        self._core = core
        self._limits = Limits(core.config.limits)
        self._examiner = Examiner(
            core.config.examination, lambda: Known(core.keys.trust_anchor(), watermarks.keys(core))
        )
        self._post = contacts.Post(
            messenger or contacts.default_messenger(core.config), core.config.subject_page
        )
        self._person = Person(core, self._limits, self._post)
        self._keeper = signing_certificate.keep(core)

    @classmethod
    def open(
        cls,
        config: ConsentConfig,
        *,
        keys: KeyProvider | None = None,
        clock: Callable[[], float] = time.time,
        messenger: Messenger | None = None,
    ) -> ConsentService:
        """Open (and in profile `local` create) ledger, vault and keys; runs migrations. Raises
        LedgerUnavailable, VaultError (keys are missing) or KeyFileUnsafe."""
        return cls(open_core(config, keys, clock), messenger)

    def close(self) -> None:
        self._examiner.close()
        self._keeper.close()
        self._core.ledger.close()

    def ready(self) -> None:
        """Ledger and keys answer. Raises LedgerUnavailable or VaultError."""
        with self._core.ledger.read() as connection:
            tenants.count(connection)
        self._core.keys.current_key_id(KeyPurpose.GRANT)

    @property
    def keys(self) -> KeyProvider:
        return self._core.keys

    @property
    def parts(self) -> Parts:
        """The same calls for the parts of a platform that is not ours, each with a key of its own."""
        return Parts(self, self._core)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a consent service stays in its process: send the ConsentConfig and open another")

    @property
    def person(self) -> Person:
        """The calls of the person whose voice it is."""
        return self._person

    # access -------------------------------------------------------------------------------------------------
    def bootstrap_tenant(self, tenant: str, *, api_key: str | None = None) -> str:
        """First use only: create the tenant and an operator+voice_admin key (the first tenant's: the installation's
        too); returns the API key, shown once.
        Raises Conflict when the tenant exists. Local operation on the machine that holds the key files.
        `api_key`: one that `access.NewKey.mint` made, for a caller who must keep it before it counts."""
        return tenants.bootstrap(self._core, tenant, api_key)

    def create_api_key(
        self,
        by: Principal,
        *,
        grantee: str,
        roles: Sequence[Role],
        claims: Claims,
        label: str = "",
        expires_at: float | None = None,
    ) -> str:
        """A new API key of the caller's tenant ("vouch_" + id + secret). Stored hashed. Needs OPERATOR."""
        return tenants.create_key(
            self._core, by, grantee=grantee, roles=roles, claims=claims, label=label, expires_at=expires_at
        )

    def revoke_api_key(self, by: Principal, key_id: str) -> None:
        """Effective at once, also for grants that are out. Idempotent. Needs OPERATOR."""
        tenants.revoke_key(self._core, by, key_id)

    def api_keys(self, by: Principal) -> list[KeyInfo]:
        """Every key of the tenant, without its secret. Needs OPERATOR."""
        return tenants.list_keys(self._core, by)

    def authenticate(self, api_key: str, *, source: str | None = None) -> Principal:
        """Raises Unauthenticated (constant-time comparison; the same error for unknown, revoked and expired), or
        RateLimited after too many failures. `source`: the network address that it came from, where there is one."""
        key_id = access.key_id_of(api_key)
        self._limits.before_authentication(key_id, source)
        try:
            with self._core.ledger.read() as connection:
                return access.authenticate(connection, api_key, self._core.clock())
        except Unauthenticated:
            self._limits.failed(key_id, source)
            raise

    def bind_consent(self, by: Principal, key_id: str, consent_id: str) -> None:
        """Make a consent the default of a key for its voice, so that a request needs no consent_token."""
        tenants.bind(self._core, by, key_id, consent_id)

    # enrolment ----------------------------------------------------------------------------------------------
    def begin_enrolment(
        self,
        by: Principal,
        *,
        name: str,
        language: str,
        grantee: str,
        purpose: str,
        subject_name: str,
        contact: str = "",
    ) -> Challenge:
        """Open an enrolment; the person reads `Challenge.sentence` aloud within ten minutes. Needs VOICE_ADMIN.
        What they say covers this grantee and this purpose; for another, see `begin_statement`. `contact`: their e-mail
        address, to which a link goes (`propose_contact`)."""
        if contact:
            contacts.require_contact(contact)
        challenge = enrolment.begin(
            self._core,
            by,
            name=name,
            language=language,
            grantee=grantee,
            purpose=purpose,
            subject_name=subject_name,
        )
        if contact:
            self.propose_contact(by, challenge.voice_id, contact)
        return challenge

    def complete_enrolment(
        self,
        by: Principal,
        enrolment_id: str,
        *,
        reference: bytes,
        transcript: str,
        statement: bytes,
        note: str = "",
    ) -> Voice:
        """Examine both recordings (encoded audio files) and seal them. The voice then waits in state "review"; it is
        "active" at once only where the configuration says so and nothing was in doubt. `note` goes into the evidence.

        Raises RecordingRejected: recording_unreadable, recording_too_short (<3 s), recording_too_long (>60 s),
        recording_silent, recording_clipped, recording_no_speech or recording_too_quiet leave the challenge open;
        speaker_mismatch and recording_synthetic end it. InvalidInput (transcript_missing); Conflict
        (enrolment_expired, enrolment_completed); ExaminationUnavailable: nothing was enrolled, try again."""
        return enrolment.complete(
            self._core,
            self._examiner,
            by,
            enrolment_id,
            reference=reference,
            transcript=transcript,
            statement=statement,
            note=note,
        )

    def begin_statement(self, by: Principal, voice_id: str, *, grantee: str, purpose: str) -> Challenge:
        """A further statement of an active voice, for a grantee or purpose that its enrolment does not cover."""
        return statements.begin(self._core, by, voice_id, grantee=grantee, purpose=purpose)

    def complete_statement(
        self, by: Principal, statement_id: str, *, statement: bytes, note: str = ""
    ) -> bool:
        """Examine the recorded statement, compare it with the sealed reference, and seal it. True: it counts at
        once; False: it waits for `review_enrolment`. Raises like `complete_enrolment`, and Conflict
        (statement_in_review) while another one waits."""
        return statements.complete(
            self._core, self._examiner, by, statement_id, statement=statement, note=note
        )

    def under_review(self, by: Principal, voice_id: str) -> UnderReview:
        """What waits for a reviewer's decision about this voice. Raises Conflict (voice_not_in_review)."""
        return review.show(self._core, by, voice_id)

    def open_statement(
        self, by: Principal, voice_id: str, part: Literal["statement", "reference"] = "statement"
    ) -> bytes:
        """What a reviewer must hear, as a WAV file, while it waits for their decision; audited before it is read.
        It must not reach a disk, a log or an object store unsealed. Needs REVIEWER."""
        return review.listen(self._core, by, voice_id, part)

    def review_enrolment(self, by: Principal, voice_id: str, *, approve: bool, note: str = "") -> Voice:
        """Decide on the enrolment, or the further statement, that waits. By a REVIEWER whose key neither began nor
        completed it: else PermissionDenied (reviewer_is_enroller)."""
        return review.decide(self._core, by, voice_id, approve=approve, note=note)

    def report_design(self, grant_id: str, replica_id: str, proof: bytes, audio_sha256: str) -> None:
        """The replica that redeemed a grant answers for the clip that came of it; proof is
        sealing.spoken_proof(node_secret, replica_id, grant_id). Raises GrantMismatch for any other replica."""
        secret = sealing.load_node_secret(self._core.config.data_dir)
        designed.report(self._core, grant_id, replica_id, proof, audio_sha256, node_secret=secret)

    def keep_designed_voice(
        self, by: Principal, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice:
        """Keep a designed voice. Its reference must be a registered clip of basis "design" of this tenant that its
        replica answered for (`report_design`), unaltered, with our signed manifest in it; never an upload of anything
        else. Raises InvalidInput (reference_not_designed), ExaminationUnavailable."""
        return designed.keep(
            self._core,
            self._examiner,
            by,
            name=name,
            language=language,
            reference=reference,
            transcript=transcript,
            clip_id=clip_id,
        )

    def voices(self, by: Principal) -> list[Voice]:
        """Every voice of the tenant, oldest first."""
        return voices.list_voices(self._core, by)

    def voice(self, by: Principal, voice_id: str) -> Voice:
        """Raises NotFound."""
        return voices.show(self._core, by, voice_id)

    def decommission(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """Revoke every consent of the voice, destroy its data key, recordings, clips and names, and certify that.
        Goes on where an earlier call was interrupted. Raises StorageUnavailable or LedgerUnavailable when something
        could not be deleted: call again."""
        return decommission.decommission(self._core, by, voice_id, reason)

    def resume_decommissions(self, by: Principal) -> list[Voice]:
        """Finish whatever was interrupted."""
        return decommission.resume(self._core, by)

    def certificate(self, by: Principal, voice_id: str) -> str:
        """The signed certificate of deletion; `proofs.certificate.verify_certificate` checks it offline. NotFound
        (certificate_missing) before the end."""
        return decommission.certificate(self._core, by, voice_id)

    def keep_voice_until(self, by: Principal, voice_id: str, until: float | None) -> Voice:
        """When the voice's retention period ends (Unix seconds; None: after the configured period). Audited."""
        return retention.keep_until(self._core, by, voice_id, until)

    def sweep_voices(self, by: Principal, *, confirm: bool = False) -> list[Voice]:
        """The voices whose retention period has passed: listed, or with `confirm` decommissioned."""
        return retention.sweep(self._core, by, confirm=confirm)

    # consents -----------------------------------------------------------------------------------------------
    def record_consent(self, by: Principal, *, voice_id: str, terms: ConsentTerms) -> RecordedConsent:
        """Needs VOICE_ADMIN and an active cloned voice. InvalidInput codes: purpose_unknown,
        validity_invalid, language_unsupported."""
        return consents.record(self._core, by, voice_id=voice_id, agreed=terms)

    def consent(self, by: Principal, consent_id: str) -> Consent:
        """Raises NotFound."""
        return consents.show(self._core, by, consent_id)

    def consents(self, by: Principal, voice_id: str | None = None) -> list[Consent]:
        """Consents of the tenant, or of one of its voices, oldest first."""
        return consents.list_consents(self._core, by, voice_id)

    def receipt(self, by: Principal, consent_id: str) -> str:
        """The signed receipt of the consent as it stands; `proofs.receipt.verify_receipt` checks it
        offline."""
        return consents.receipt(self._core, by, consent_id)

    def narrow_consent(
        self,
        by: Principal,
        consent_id: str,
        *,
        purposes: Sequence[str] | None = None,
        languages: Sequence[str] | None = None,
        territories: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
        valid_until: float | None = None,
        character_budget: int | None = None,
        inside_boundary: bool = False,
    ) -> RecordedConsent:
        """What is to remain of the terms: a new version, token and receipt. Grants of the old version die, and clips
        made for the lost purposes are withdrawn (all clips, when another axis than purposes, end or budget shrinks).
        InvalidInput with purpose_not_consented, language_…, territory_…, channel_not_consented, validity_invalid or
        budget_invalid when it would widen."""
        wanted = Narrowing(
            purposes=_tuple(purposes),
            languages=_tuple(languages),
            territories=_tuple(territories),
            channels=_tuple(channels),
            valid_until=valid_until,
            character_budget=character_budget,
            inside_boundary=inside_boundary,
        )
        return consents.narrow(self._core, by, consent_id, wanted)

    def revoke_consent(self, by: Principal, consent_id: str, reason: str) -> Revocation:
        """Immediate and irreversible: state, voice epoch, feed and audit in one transaction."""
        return consents.revoke(self._core, by, consent_id, reason)

    def propose_contact(self, by: Principal, voice_id: str, contact: str) -> ContactState:
        """Send the link by which a contact (an e-mail address) confirms that it reaches the person. While another
        one is confirmed, the link goes there instead: only they can agree to the change. Needs VOICE_ADMIN. Raises
        InvalidInput (contact_invalid), Conflict (contact_unchanged), MessageNotSent."""
        return contacts.propose_contact(self._core, self._post, by, voice_id, contact)

    # decision -----------------------------------------------------------------------------------------------
    def authorize(self, by: Principal, claim: SpeechClaim) -> Allow | Deny:
        """Look up, decide (`policy.decide`), sign. A refusal is audited too; RateLimited after too many."""
        return authorize.authorize(self._core, self._limits, by, claim)

    def authorize_many(self, by: Principal, claims: Sequence[SpeechClaim]) -> list[Allow | Deny]:
        """The same decisions, in order, from one look-up. A refusal too many is a Deny (rate_limited)."""
        return authorize.authorize_many(self._core, self._limits, by, claims)

    def register_replica(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        """Register an X25519 key (32 raw bytes); proof is sealing.node_proof(node_secret, replica_id,
        public_key). Returns the grants' public keys. Raises ReplicaUnknown when the proof is wrong."""
        secret = sealing.load_node_secret(self._core.config.data_dir)
        return replicas.register(self._core, replica_id, public_key, proof, node_secret=secret)

    def redeem(self, token: str, replica_id: str) -> Redeemed:
        """Use a grant up: signature, start time, nonce, revocation, audit entry and clip record in one
        transaction; then seal the reference to the replica's key. Raises GrantError subclasses,
        ReplicaUnknown."""
        return redeem.redeem(self._core, self._limits, token, replica_id)

    def redeem_many(self, tokens: Sequence[str], replica_id: str) -> list[Redeemed | Exception]:
        """The same for each grant, in order, in one transaction for up to a thousand: what it would have returned or
        raised. Holds one sealed copy of its reference for every row."""
        return redeem.redeem_many(self._core, self._limits, tokens, replica_id)

    def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        """Use a grant up to hand over a clip that exists already: the same checks and an audit entry, no
        reference. GrantMismatch when the cached clip's tenant, voice, consent, purpose, grantee or text is
        not the grant's; GrantRevoked when the cached clip is not live."""
        return redeem.redeem_cached(self._core, self._limits, token, cached_clip_id)

    def close_clip(self, grant_id: str, closing: Closing) -> int:
        """The second audit record of a redeemed grant; returns its leaf index. Idempotent."""
        return redeem.close(self._core, grant_id, closing)

    def close_abandoned(self, by: Principal, older_than_s: float = abandoned.ABANDONED_AFTER_S) -> int:
        """Close grants that were redeemed so long ago and never closed, as failed; how many. Needs OPERATOR."""
        return abandoned.close_abandoned(self._core, by, older_than_s)

    def forget_replicas(self, by: Principal, registered_before_s: float) -> int:
        """Delete the keys of replicas that registered longer ago (an hour at least); how many. Needs
        INSTALLATION."""
        return abandoned.forget_replicas(self._core, by, registered_before_s)

    def revocations(self, after: int = 0, limit: int = 1000) -> list[Revocation]:
        """The feed, oldest first, across tenants (for gates and replicas)."""
        return revocations.revocations(self._core, after, limit)

    def watch_revocations(self, after: int = 0) -> RevocationStream:
        """The same feed as it grows: an iterator that waits, resumes after the last number seen, and is closed from
        any thread. Under 250 ms from commit to consumer. `freshness` tells a consumer when it must refuse."""
        return revocations.RevocationStream(self._core, after)

    # clips (ClipRegister, ProofReader) ----------------------------------------------------------------------
    def register_clip(self, record: ClipRecord) -> None:
        """Add digest, length and copies to the record that `redeem` made. NotFound (clip_unknown) without
        one; Conflict (clip_origin_fixed, clip_digest_fixed) when it contradicts what is there."""
        register.register(self._core, record)

    def register_clips(self, records: Sequence[ClipRecord]) -> list[Exception | None]:
        """The same for each, in order, in one transaction for up to a thousand: None, or what it would have raised."""
        return register.register_many(self._core, records)

    def register_store(
        self, uri: str, kind: Literal["cache", "output"], *, tenant: str | None = None
    ) -> None:
        """Say where clips will lie, before any does: a door's cache, or a job's output folder. Deletion searches
        every place named here. `tenant` None: all tenants share it. Idempotent."""
        stores.register(self._core, uri, kind, tenant)

    def find_clip(self, tenant: str, clip_id: str) -> ClipRecord | None:
        return register.find(self._core, tenant, clip_id)

    def clip(self, by: Principal, clip_id: str) -> ClipRecord:
        """Raises NotFound, for another grantee's clip too; refuses (GrantRevoked) nothing here: the caller looks
        at `state` and `standing`."""
        return register.show(self._core, by, clip_id)

    def release_clip(self, by: Principal, clip_id: str, audio_sha256: str = "") -> ClipRecord:
        """Before a stored clip goes out once more: audited, either way; with the digest of a file that is not the
        registered one. Raises NotFound, or GrantRevoked when its consent no longer stands."""
        return register.release(self._core, by, clip_id, audio_sha256)

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        return register.standing(self._core, clip_id, consent_id, consent_version)

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return register.knows(self._core, clip_id, audio_sha256)

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return closings.logged_at(self._core, clip_id, audio_sha256)

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        return register.marked(self._core, mark)

    def watermark_keys(self) -> dict[int, bytes]:
        return watermarks.keys(self._core)

    def watermark_key(self, replica_id: str, epoch: int) -> bytes:
        """The keyed watermark's key of an epoch, sealed to a registered replica (sealing.watermark_info).
        Raises ReplicaUnknown, NotFound for an epoch that has not begun."""
        return replicas.watermark_key(self._core, replica_id, epoch)

    # keys ---------------------------------------------------------------------------------------------------
    def wrap_clip_key(self, tenant: str, data_key: bytes, aad: bytes) -> bytes:
        """Encrypt the 32-byte key of a stored clip under its tenant's, bound to `aad`. For the gate, as the next."""
        return data_keys.wrap(self._core, tenant, data_key, aad)

    def unwrap_clip_key(self, tenant: str, wrapped: bytes, aad: bytes) -> bytes:
        """Reverse of `wrap_clip_key`. Raises VaultError when it is of another tenant or clip."""
        return data_keys.unwrap(self._core, tenant, wrapped, aad)

    def rotate_keys(
        self,
        by: Principal,
        kinds: Sequence[KeyKind] = rotate.USUAL,
        progress: ProgressCallback | None = None,
    ) -> list[Rotated]:
        """A new current key of each kind, or the end of a rotation that was interrupted; old keys still verify and
        unwrap. Local operation on a machine that may change the keys. Needs INSTALLATION, as the next."""
        return rotate.rotate(self._core, by, kinds, progress or (lambda *_: None))

    def retire_keys(
        self,
        by: Principal,
        kinds: Sequence[KeyKind] = rotate.USUAL,
        progress: ProgressCallback | None = None,
    ) -> list[Retired]:
        """Forget superseded keys. Raises Conflict: key_overlap while others may still use them, key_in_use while
        something is wrapped under them."""
        return rotate.retire(self._core, by, kinds, progress or (lambda *_: None))

    def leaf_outlook(self) -> LeafOutlook | None:
        """Until when manifests can be signed, and whether that will be prolonged by itself; None for keys that are
        somebody else's. Local operation."""
        return signing_certificate.outlook(self._core)

    def sweep_vault(self, by: Principal, *, confirm: bool = False) -> list[str]:
        """Sealed recordings that no voice needs, left by a process that died: listed, or with `confirm` destroyed.
        Needs VOICE_ADMIN."""
        return orphans.sweep(self._core, by, confirm=confirm)

    # audit --------------------------------------------------------------------------------------------------
    def export_audit(self, by: Principal, folder: Path) -> None:
        """entries.jsonl, checkpoint, public key: all that `proofs.log.verify_export(folder)` needs
        offline."""
        log.export_audit(self._core, by, folder)

    def export_bundle(self, by: Principal, file: Path) -> None:
        """One signed file with which clips are verified offline: `proofs.bundle.Bundle.read`."""
        bundle.export_bundle(self._core, by, file)

    def standings(self, by: Principal) -> str:
        """How every consent of the tenant stands now, signed: `proofs.standings.verify_standings`."""
        return bundle.standings(self._core, by)

    def trusted_keys(self, by: Principal) -> str:
        """The public keys of log, receipts and certificates: `proofs.trust.TrustedKeys.from_text`."""
        return bundle.trusted_keys(self._core, by)

    def checkpoint(self, by: Principal) -> str:
        """A signed note over the tenant's log as it is now. Needs AUDITOR or OPERATOR, as all below."""
        return log.checkpoint(self._core, by)

    def audit_entries(self, by: Principal, start: int = 0, limit: int = 1000) -> list[str]:
        """Canonical JSON of the leaves from `start` on, in order."""
        return log.entries(self._core, by, start, limit)

    def inclusion_proof(self, by: Principal, leaf: int, size: int) -> list[bytes]:
        """For `proofs.merkle.verify_inclusion`. NotFound when the log is not that long."""
        return log.inclusion_proof(self._core, by, leaf, size)

    def consistency_proof(self, by: Principal, first: int, second: int) -> list[bytes]:
        """For `proofs.merkle.verify_consistency`. NotFound when the log is not that long."""
        return log.consistency_proof(self._core, by, first, second)


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)

"""The consent service as the doors see it: one object, every operation a transaction.

Every method takes the caller's `Principal` (except `authenticate`) and checks its permission; every query carries
its tenant. Methods are synchronous, thread-safe and may block on the disk: call them off an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
import time

from consent_service.config import ConsentConfig
from consent_service.models import (
    Allow, Challenge, Claims, Closing, Consent, ConsentTerms, Deny, Principal, RecordedConsent, Redeemed,
    Revocation, Role, SpeechClaim, Voice,
)
from consent_service.proofs.seams import ClipRecord, KeyProvider, Standing


class ConsentService:
    keys: KeyProvider

    @classmethod
    def open(cls, config: ConsentConfig, *, keys: KeyProvider | None = None,
             clock: Callable[[], float] = time.time) -> ConsentService:
        """Open (and in profile `local` create) ledger, vault and keys; runs migrations. Raises LedgerUnavailable."""
        raise NotImplementedError

    def close(self) -> None: ...

    # access ---------------------------------------------------------------------------------------------------
    def bootstrap_tenant(self, tenant: str) -> str:
        """First use only: create the tenant and an operator+voice_admin key; returns the API key, shown once.
        Raises Conflict when the tenant exists. Local operation on the machine that holds the key files."""
        raise NotImplementedError

    def create_api_key(self, by: Principal, *, grantee: str, roles: Sequence[Role], claims: Claims, label: str = "",
                       expires_at: float | None = None) -> str:
        """A new API key of the caller's tenant ("vouch_" + id + secret). Stored hashed. Needs OPERATOR."""
        raise NotImplementedError

    def revoke_api_key(self, by: Principal, key_id: str) -> None: raise NotImplementedError

    def authenticate(self, api_key: str) -> Principal:
        """Raises Unauthenticated (constant-time comparison; the same error for unknown, revoked and expired)."""
        raise NotImplementedError

    def bind_consent(self, by: Principal, key_id: str, consent_id: str) -> None:
        """Make a consent the default of a key for its voice, so that a request needs no consent_token."""
        raise NotImplementedError

    # enrolment ------------------------------------------------------------------------------------------------
    def begin_enrolment(self, by: Principal, *, name: str, language: str, grantee: str, purpose: str,
                        subject_name: str) -> Challenge: raise NotImplementedError

    def complete_enrolment(self, by: Principal, enrolment_id: str, *, reference: bytes, transcript: str,
                           statement: bytes, note: str = "") -> Voice:
        """Seal both recordings (encoded audio files). The voice then waits in state "review".
        `note` goes into the evidence (for example "demonstration subject"). Raises RecordingRejected with code
        recording_unreadable, recording_too_short (<3 s), recording_too_long (>60 s), recording_silent,
        recording_clipped; InvalidInput with code transcript_missing; Conflict with enrolment_expired."""
        raise NotImplementedError

    def review_enrolment(self, by: Principal, voice_id: str, *, approve: bool, note: str = "") -> Voice:
        """By a REVIEWER whose key is not the enroller's. Raises PermissionDenied (code reviewer_is_enroller)."""
        raise NotImplementedError

    def keep_designed_voice(self, by: Principal, *, name: str, language: str, reference: bytes, transcript: str,
                            clip_id: str) -> Voice:
        """Keep a designed voice. Its reference must be a registered clip of basis "design" of this tenant whose
        digest matches `reference`; never an upload of anything else."""
        raise NotImplementedError

    def voices(self, by: Principal) -> list[Voice]: raise NotImplementedError
    def voice(self, by: Principal, voice_id: str) -> Voice: raise NotImplementedError

    def decommission(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """Revoke every consent of the voice, destroy its data key and ciphertext. First form: no certificate."""
        raise NotImplementedError

    # consents -------------------------------------------------------------------------------------------------
    def record_consent(self, by: Principal, *, voice_id: str, terms: ConsentTerms) -> RecordedConsent:
        """Needs VOICE_ADMIN and an active cloned voice. InvalidInput codes: purpose_unknown, validity_invalid,
        language_unsupported."""
        raise NotImplementedError

    def consent(self, by: Principal, consent_id: str) -> Consent: raise NotImplementedError
    def consents(self, by: Principal, voice_id: str | None = None) -> list[Consent]: raise NotImplementedError
    def receipt(self, by: Principal, consent_id: str) -> str: raise NotImplementedError
    def narrow_consent(self, by: Principal, consent_id: str, *, purposes: Sequence[str]) -> RecordedConsent:
        raise NotImplementedError

    def revoke_consent(self, by: Principal, consent_id: str, reason: str) -> Revocation:
        """Immediate and irreversible: state, voice epoch, feed and audit in one transaction."""
        raise NotImplementedError

    # decision -------------------------------------------------------------------------------------------------
    def authorize(self, by: Principal, claim: SpeechClaim) -> Allow | Deny:
        """Look up, decide (consent_service.policy), sign. A refusal is audited too."""
        raise NotImplementedError

    def authorize_many(self, by: Principal, claims: Sequence[SpeechClaim]) -> list[Allow | Deny]:
        """The same decisions, in order, from one look-up."""
        raise NotImplementedError

    def register_replica(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        """Register an X25519 key (32 raw bytes); proof is sealing.node_proof(node_secret, replica_id, public_key).
        Returns the grants' public keys. Raises ReplicaUnknown when the proof is wrong."""
        raise NotImplementedError

    def redeem(self, token: str, replica_id: str) -> Redeemed:
        """Use a grant up: signature, start time, nonce, revocation, audit entry and clip record in one transaction;
        then seal the reference to the replica's key. Raises GrantError subclasses, ReplicaUnknown."""
        raise NotImplementedError

    def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        """Use a grant up to hand over a clip that exists already: the same checks and an audit entry, no reference.
        GrantMismatch when the cached clip's tenant, voice or consent is not the grant's; GrantRevoked when
        the cached clip is not live."""
        raise NotImplementedError

    def close_clip(self, grant_id: str, closing: Closing) -> int:
        """The second audit record of a redeemed grant; returns its leaf index. Idempotent."""
        raise NotImplementedError

    def revocations(self, after: int = 0, limit: int = 1000) -> list[Revocation]:
        """The feed, oldest first, across tenants (for gates and replicas)."""
        raise NotImplementedError

    # clips (ClipRegister, ProofReader) -------------------------------------------------------------------------
    def register_clip(self, record: ClipRecord) -> None: raise NotImplementedError
    def find_clip(self, tenant: str, clip_id: str) -> ClipRecord | None: raise NotImplementedError

    def clip(self, by: Principal, clip_id: str) -> ClipRecord:
        """Raises NotFound; refuses (GrantRevoked) nothing here: the caller looks at `state` and `standing`."""
        raise NotImplementedError

    def standing(self, clip_id: str, consent_id: str | None, consent_version: int | None) -> tuple[Standing, float]:
        raise NotImplementedError

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None: raise NotImplementedError

    # audit ----------------------------------------------------------------------------------------------------
    def export_audit(self, by: Principal, folder: Path) -> None:
        """entries.jsonl, checkpoint, public key: all that `proofs.log.verify_export(folder)` needs offline."""
        raise NotImplementedError

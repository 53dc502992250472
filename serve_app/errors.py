"""One JSON shape for every error, and one table from stable codes to HTTP status.

    {"error": {"code": "consent_revoked", "message": "...", "type": "refused", "param": null, "request_id": "..."}}

The shape is the one OpenAI clients read. A code that is not in the table is a 500 on purpose: whoever adds a code
adds its status (a test walks every error class of every room).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import CodedError

STATUS: Final[dict[str, int]] = {
    # 400: the request cannot be understood or spoken
    "request_invalid": 400,
    "invalid_input": 400,
    "json_invalid": 400,
    "text_invalid": 400,
    "text_empty": 400,
    "text_control_characters": 400,
    "text_unpronounceable": 400,
    "language_unsupported": 400,
    "markup_invalid": 400,
    "lexicon_invalid": 400,
    "instruct_missing": 400,
    "instruct_too_long": 400,
    "format_unsupported": 400,
    "sample_rate_unsupported": 400,
    "loudness_unsupported": 400,
    "token_invalid": 400,
    "streaming_unsupported": 400,
    "speed_unsupported": 400,
    "purpose_required": 400,
    "purpose_unknown": 400,
    "validity_invalid": 400,
    "budget_invalid": 400,
    "transcript_missing": 400,
    "recording_rejected": 400,
    "recording_unreadable": 400,
    "recording_too_short": 400,
    "recording_too_long": 400,
    "recording_silent": 400,
    "recording_clipped": 400,
    "recording_too_quiet": 400,
    "recording_no_speech": 400,
    "recording_synthetic": 400,
    "speaker_mismatch": 400,
    "claim_invalid": 400,
    "name_invalid": 400,
    "role_missing": 400,
    "role_not_assignable": 400,
    "contact_invalid": 400,
    "cursor_invalid": 400,
    "key_malformed": 400,
    "tenant_invalid": 400,
    "territory_invalid": 400,
    "channel_invalid": 400,
    "reference_not_designed": 400,
    "object_outside_stores": 400,
    "clip_silent": 400,
    "clip_too_short": 400,
    "audio_unreadable": 400,
    "audio_layout_unsupported": 400,
    "manifest_unreadable": 400,
    "text_too_long": 413,
    "audio_too_large": 413,
    "audio_too_long": 413,
    "audio_too_costly": 413,
    "recording_too_large": 413,
    "upload_too_large": 413,
    # 401, 403: who are you, and may you?
    "unauthenticated": 401,
    "link_invalid": 401,
    "permission_denied": 403,
    "not_one_of_ours": 403,
    "reviewer_is_enroller": 403,
    "evidence_does_not_cover": 403,
    "consent_required": 403,
    "consent_token_invalid": 403,
    "consent_revoked": 403,
    "consent_expired": 403,
    "consent_not_yet_valid": 403,
    "purpose_not_claimable": 403,
    "purpose_not_consented": 403,
    "language_not_consented": 403,
    "processing_outside_not_consented": 403,
    "budget_exhausted": 403,
    "territory_required": 403,
    "territory_not_claimable": 403,
    "territory_not_consented": 403,
    "channel_required": 403,
    "channel_not_claimable": 403,
    "channel_not_consented": 403,
    "grantee_mismatch": 403,
    "voice_not_active": 403,
    "voice_decommissioned": 403,
    "grant_missing": 403,
    "grant_invalid": 403,
    "grant_malformed": 403,
    "grant_forged": 403,
    "grant_expired": 403,
    "grant_mismatch": 403,
    "grant_used": 403,
    "replica_unknown": 403,
    "key_destroyed": 403,
    "key_revoked": 403,
    # 404, 409
    "not_found": 404,
    "voice_unknown": 404,
    "speaker_unknown": 404,
    "certificate_missing": 404,
    "consent_unknown": 404,
    "clip_unknown": 404,
    "epoch_unknown": 404,
    "enrolment_unknown": 404,
    "key_unknown": 404,
    "grant_unknown": 404,
    "leaf_unknown": 404,
    "subject_unknown": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "enrolment_expired": 409,
    "enrolment_completed": 409,
    "voice_not_in_review": 409,
    "statement_in_review": 409,
    "tenant_exists": 409,
    "key_overlap": 409,
    "key_in_use": 409,
    "key_not_new": 409,
    "keys_not_rotatable": 409,
    "clip_origin_fixed": 409,
    "clip_digest_fixed": 409,
    "contact_unchanged": 409,
    "rate_limited": 429,
    # 5xx: not the caller's doing; no audio either way
    "mode_unsupported": 501,
    "engine_unavailable": 503,
    "synthesis_failed": 502,
    "synthesis_cancelled": 503,
    "ledger_unavailable": 503,
    "examination_unavailable": 503,
    "decoding_unavailable": 503,
    "gate_failed": 503,
    "vault_error": 503,
    "leaf_expired": 503,
    "message_not_sent": 503,
    "key_service_unavailable": 503,
    "object_missing": 503,
    "storage_unavailable": 503,
    "key_file_unsafe": 503,
    "revocations_unknown": 503,
    "overloaded": 503,
    "deadline_exceeded": 504,
    "stamp_failed": 500,
    "profile_invalid": 500,
    "internal_error": 500,
    "speech_error": 500,
    "provenance_error": 500,
    "consent_error": 500,
    "proof_invalid": 500,
    "folder_unusable": 500,
}

RETRY_AFTER_S: Final = {
    "overloaded": 2, "ledger_unavailable": 2, "revocations_unknown": 1, "gate_failed": 2, "rate_limited": 5,
    "decoding_unavailable": 2, "engine_unavailable": 5, "examination_unavailable": 5,
}  # fmt: skip


class RequestRefused(CodedError):
    """A request that ends here, with its stable code. retry_after_s: None says what the code says by itself."""

    def __init__(
        self, code: str, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        return STATUS.get(self.code, 500)

    def body(self, request_id: str) -> dict[str, Any]:
        """The one error shape."""
        kind = (
            "server_error"
            if self.status >= 500
            else "refused"
            if self.status in (401, 403)
            else "invalid_request"
        )
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "type": kind,
                "param": self.param,
                "request_id": request_id,
            }
        }

    def headers(self) -> dict[str, str]:
        wait = self.retry_after_s or RETRY_AFTER_S.get(self.code)
        return {"Retry-After": str(wait)} if wait else {}


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as a value: what one deployment answers another, so that no traceback crosses a handle."""

    code: str
    message: str

    def __bool__(self) -> bool:
        return False

"""The errors of the consent service.

    ConsentError                        code
    ├── AccessError
    │   ├── Unauthenticated             unauthenticated
    │   ├── LinkInvalid                 link_invalid         (unknown, altered, used or expired)
    │   ├── RateLimited                 rate_limited
    │   └── PermissionDenied            permission_denied
    ├── NotFound                        not_found
    ├── InvalidInput                    invalid_input
    │   └── RecordingRejected           recording_rejected   (sub-codes: recording_too_short, …)
    ├── Conflict                        conflict
    ├── GrantError
    │   ├── GrantMalformed              grant_malformed
    │   ├── GrantForged                 grant_forged
    │   │   └── GrantKeyUnknown         grant_forged         (signed by a key that is not known here, perhaps yet)
    │   ├── GrantExpired                grant_expired
    │   ├── GrantMismatch               grant_mismatch       (not the granted text, voice or replica)
    │   ├── GrantUsed                   grant_used
    │   └── GrantRevoked                consent_revoked      (revoked, or expired, since it was issued)
    ├── ReplicaUnknown                  replica_unknown
    ├── VaultError                      vault_error
    │   ├── KeyDestroyed                key_destroyed
    │   ├── KeyServiceUnavailable       key_service_unavailable
    │   ├── SigningCertificateExpired   leaf_expired         (manifests can't be signed)
    │   ├── ObjectMissing               object_missing
    │   └── StorageUnavailable          storage_unavailable
    ├── MessageNotSent                  message_not_sent
    ├── ProofInvalid                    proof_invalid
    ├── ExaminationUnavailable          examination_unavailable
    └── LedgerUnavailable               ledger_unavailable

Beside it stands `foundation.private_files.KeyFileUnsafe` (key_file_unsafe).
`code` is stable and goes out over HTTP and into status columns; the message says what the caller can do. No
message ever holds a text to be spoken, a recording, a key or a token.
"""

from __future__ import annotations

from foundation.errors import CodedError


class ConsentError(CodedError):
    """Root of every error this package raises on purpose."""

    code = "consent_error"


class AccessError(ConsentError):
    """The caller may not do this."""

    code = "permission_denied"


class Unauthenticated(AccessError):
    """The API key is missing, unknown, revoked or expired."""

    code = "unauthenticated"


class LinkInvalid(AccessError):
    """A link that nobody sent, or that was used, or that has expired: one error for all of them."""

    code = "link_invalid"


class RateLimited(AccessError):
    """Too many failures. `retry_after_s`: when to try again."""

    code = "rate_limited"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class PermissionDenied(AccessError):
    """The key is good, but its roles or claims do not cover this."""


class NotFound(ConsentError):
    """No such object in this tenant."""

    code = "not_found"


class InvalidInput(ConsentError):
    """A value that cannot be accepted; nothing was written."""

    code = "invalid_input"


class RecordingRejected(InvalidInput):
    """A recording that is broken, too short, silent or clipped."""

    code = "recording_rejected"


class Conflict(ConsentError):
    """The object is not in a state that allows this."""

    code = "conflict"


class GrantError(ConsentError):
    """A grant that does not allow this synthesis."""

    code = "grant_invalid"


class GrantMalformed(GrantError):
    """Not a grant at all."""

    code = "grant_malformed"


class GrantForged(GrantError):
    """The signature does not verify under any trusted key."""

    code = "grant_forged"


class GrantKeyUnknown(GrantForged):
    """The key that it names is not known here: forged, or rotated since the keys were asked for."""


class GrantExpired(GrantError):
    """The time to start has passed."""

    code = "grant_expired"


class GrantMismatch(GrantError):
    """The text, the voice or the replica is not the one the grant names."""

    code = "grant_mismatch"


class GrantUsed(GrantError):
    """The grant was redeemed before."""

    code = "grant_used"


class GrantRevoked(GrantError):
    """The consent behind the grant was revoked or has expired since it was issued."""

    code = "consent_revoked"


class ReplicaUnknown(ConsentError):
    """The replica never registered a key with the node secret."""

    code = "replica_unknown"


class VaultError(ConsentError):
    """A sealed object could not be opened or stored."""

    code = "vault_error"


class KeyDestroyed(VaultError):
    """The voice's data key no longer exists."""

    code = "key_destroyed"


class KeyServiceUnavailable(VaultError):
    """The KMS can't be reached, or refuses."""

    code = "key_service_unavailable"


class SigningCertificateExpired(VaultError):
    """The certificate that manifests are signed under has ended: nothing can be marked, so nothing leaves."""

    code = "leaf_expired"


class ObjectMissing(VaultError):
    """No object of this name is stored."""

    code = "object_missing"


class StorageUnavailable(VaultError):
    """The place where sealed objects lie can't be reached, or refuses."""

    code = "storage_unavailable"


class MessageNotSent(ConsentError):
    """A message to a person could not be handed over for delivery."""

    code = "message_not_sent"


class ProofInvalid(ConsentError):
    """An exported log, proof, checkpoint or receipt does not verify."""

    code = "proof_invalid"


class ExaminationUnavailable(ConsentError):
    """Recordings could not be examined; nobody is enrolled unexamined (fail closed)."""

    code = "examination_unavailable"


class LedgerUnavailable(ConsentError):
    """The ledger cannot be reached; nothing may be synthesised (fail closed)."""

    code = "ledger_unavailable"

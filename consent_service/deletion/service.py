"""The end of a voice: decommissioning, its certificate, retention, leftovers."""

from __future__ import annotations

from consent_service.core import Core
from consent_service.deletion import decommission, holdings, orphans, retention
from consent_service.models import Principal, Voice, VoiceHoldings


class Deletion:
    """`ConsentService.deletion`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def decommission(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """Revoke every consent of the voice, destroy its data key, recordings, clips and names, and certify that.
        Goes on where an earlier call was interrupted. Raises StorageUnavailable or LedgerUnavailable when something
        could not be deleted: call again."""
        return decommission.decommission(self._core, by, voice_id, reason)

    def holdings(self, by: Principal, voice_id: str) -> VoiceHoldings:
        """What `decommission` would destroy. Needs VOICE_ADMIN."""
        return holdings.holdings(self._core, by, voice_id)

    def resume(self, by: Principal) -> list[Voice]:
        """Finish whatever was interrupted."""
        return decommission.resume(self._core, by)

    def certificate(self, by: Principal, voice_id: str) -> str:
        """The signed certificate of deletion; `proofs.certificate.verify_certificate` checks it offline. NotFound
        (certificate_missing) before the end."""
        return decommission.certificate(self._core, by, voice_id)

    def keep_until(self, by: Principal, voice_id: str, until: float | None) -> Voice:
        """When the voice's retention period ends (Unix seconds, not in the past; None: after the configured period).
        Audited. Raises InvalidInput (validity_invalid)."""
        return retention.keep_until(self._core, by, voice_id, until)

    def sweep_voices(self, by: Principal, *, confirm: bool = False) -> list[Voice]:
        """The voices whose retention period has passed: listed, or with `confirm` decommissioned."""
        return retention.sweep(self._core, by, confirm=confirm)

    def sweep_vault(self, by: Principal, *, confirm: bool = False) -> list[str]:
        """Sealed recordings that no voice needs, left by a process that died: listed, or with `confirm` destroyed.
        Needs VOICE_ADMIN."""
        return orphans.sweep(self._core, by, confirm=confirm)

"""What leaves the ledger signed, for offline use: the bundle, and its parts."""

from __future__ import annotations

from pathlib import Path

from consent_service.core import Core
from consent_service.exports import bundle
from consent_service.models import Principal


class Exports:
    """`ConsentService.exports`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def write_bundle(self, by: Principal, file: Path) -> None:
        """One signed file with which clips are verified offline: `proofs.bundle.Bundle.read`."""
        bundle.export_bundle(self._core, by, file)

    def standings(self, by: Principal) -> str:
        """How every consent of the tenant stands now, signed: `proofs.standings.verify_standings`."""
        return bundle.standings(self._core, by)

    def trusted_keys(self, by: Principal) -> str:
        """The public keys of log, receipts and certificates: `proofs.trust.TrustedKeys.from_text`."""
        return bundle.trusted_keys(self._core, by)

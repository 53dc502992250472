"""Consents: recorded, narrowed, revoked, receipted."""

from __future__ import annotations

from collections.abc import Sequence

from consent_service.consents import records
from consent_service.core import Core
from consent_service.models import Consent, ConsentTerms, Narrowing, Principal, RecordedConsent, Revocation


class Consents:
    """`ConsentService.consents`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def record(self, by: Principal, *, voice_id: str, terms: ConsentTerms) -> RecordedConsent:
        """Needs VOICE_ADMIN and an active cloned voice. InvalidInput codes: purpose_unknown,
        validity_invalid, language_unsupported."""
        return records.record(self._core, by, voice_id=voice_id, agreed=terms)

    def get(self, by: Principal, consent_id: str) -> Consent:
        """Raises NotFound."""
        return records.show(self._core, by, consent_id)

    def list_all(self, by: Principal, voice_id: str | None = None) -> list[Consent]:
        """Consents of the tenant, or of one of its voices, oldest first."""
        return records.list_consents(self._core, by, voice_id)

    def receipt(self, by: Principal, consent_id: str) -> str:
        """The signed receipt of the consent as it stands; `proofs.receipt.verify_receipt` checks it
        offline."""
        return records.receipt(self._core, by, consent_id)

    def narrow(
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
        return records.narrow(self._core, by, consent_id, wanted)

    def clips_lost(self, by: Principal, consent_id: str, wanted: Narrowing) -> int:
        """How many live clips `narrow` would withdraw with these terms. Raises as it does; changes nothing."""
        return records.clips_lost(self._core, by, consent_id, wanted)

    def revoke(self, by: Principal, consent_id: str, reason: str) -> Revocation:
        """Immediate and irreversible: state, voice epoch, feed and audit in one transaction."""
        return records.revoke(self._core, by, consent_id, reason)


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)

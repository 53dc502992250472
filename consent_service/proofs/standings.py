"""A signed list of how consents stood as of a checkpoint, so that a clip can be judged without us. Pure.

The list names consents by number only. `valid_until` lets a reader see later that a consent which stood then has
expired since; that one was withdrawn since, no list of an earlier day can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from consent_service.errors import ProofInvalid
from consent_service.proofs.records import Standing
from consent_service.proofs.statement import Signer, sign_statement, verify_statement
from consent_service.proofs.trust import TrustedKeys

STANDINGS_TYPE: Final = "vouch.standings.v1"


@dataclass(frozen=True, slots=True)
class ConsentStanding:
    """How one consent stood. Times are Unix seconds."""

    consent_id: str
    version: int
    standing: Standing
    valid_until: float


@dataclass(frozen=True, slots=True)
class Standings:
    """A list that verified. `checkpoint` is the signed note of the log as it was then."""

    tenant: str
    as_of: float
    checkpoint: str
    consents: Mapping[str, ConsentStanding]

    def of(self, consent_id: str, now: float) -> tuple[Standing, float]:
        """(standing, as of when). UNKNOWN for one that the list does not name."""
        known = self.consents.get(consent_id)
        if known is None:
            return Standing.UNKNOWN, self.as_of
        if known.standing is Standing.LIVE and now >= known.valid_until:
            return Standing.EXPIRED, known.valid_until
        return known.standing, self.as_of


def sign_standings(
    tenant: str, as_of: float, checkpoint: str, consents: Iterable[ConsentStanding], sign: Signer
) -> str:
    body: dict[str, Any] = {
        "tenant": tenant,
        "as_of": as_of,
        "checkpoint": checkpoint,
        "consents": [{**asdict(each), "standing": each.standing.value} for each in consents],
    }
    return sign_statement(STANDINGS_TYPE, body, sign)


def verify_standings(text: str, trusted: TrustedKeys) -> Standings:
    """Raises ProofInvalid."""
    stated = verify_statement(STANDINGS_TYPE, text, trusted.statements)
    try:
        trusted.verify_resting_on(stated["checkpoint"], text)
        consents = [
            ConsentStanding(**{**each, "standing": Standing(each["standing"])}) for each in stated["consents"]
        ]
        by_id = {each.consent_id: each for each in consents}
        return Standings(str(stated["tenant"]), float(stated["as_of"]), stated["checkpoint"], by_id)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProofInvalid("the list of standings lacks what a list says") from exc

"""What a consent receipt says (ISO/IEC TS 27560:2023): the record of one consent as it stands, with its history.

The record's header, the processing that was agreed to, the parties and the events, under the field names of the
standard; what the standard has no field for (languages, channels, a budget, the place in the audit log) stands beside
them. The person is a number: the receipt names only the two organisations. How it is signed: `proofs.receipt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from consent_service.config import ConsentConfig
from consent_service.ids import new_id
from consent_service.models import Consent, ConsentTerms
from consent_service.policy import purposes
from consent_service.proofs.vocabulary import CONTEXT, STANDARD

WITHDRAWAL: Final = "at any time, without a reason, by the person or in their name; at once and for good"
_RIGHTS: Final = (
    "to withdraw this consent",
    "to see every use of the voice",
    "to have the voice and its recordings destroyed",
)
# Ids of the parties within a receipt.
PERSON: Final = "pii_principal"
CONTROLLER: Final = "controller"
GRANTEE: Final = "grantee"

_STATE: Final = {"given": "live", "narrowed": "live", "withdrawn": "revoked"}


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a consent. kind: given, narrowed or withdrawn; `at` in Unix seconds; `by`: a party's id."""

    kind: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the audit log tells of it: the leaf, and a signed checkpoint that covers it."""

    leaf: int
    checkpoint: str


def body(
    config: ConsentConfig, consent: Consent, history: Sequence[Event], place: Place, issued_at: float
) -> dict[str, Any]:
    """The receipt, unsigned."""
    agreed = consent.terms
    return {
        "@context": dict(CONTEXT),
        "@type": "ConsentReceipt",
        "schema_version": STANDARD,
        "receipt_id": new_id("receipt"),
        "issued_at": moment(issued_at),
        "record_id": consent.consent_id,
        "record_version": consent.version,
        "pii_principal_id": consent.subject_id,
        "state": consent.state,
        "pii_processing": _processing(config, consent.voice_id, agreed),
        "party_identifiers": [
            _controller(config),
            {"party_id": GRANTEE, "party_name": agreed.grantee, "party_role": "recipient"},
        ],
        "events": [_event(event) for event in history],
        "evidence": _evidence(consent),
        "audit": {"tenant": consent.tenant, "leaf": place.leaf, "checkpoint": place.checkpoint},
    }


def moment(unix_s: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")


def _processing(config: ConsentConfig, voice_id: str, agreed: ConsentTerms) -> dict[str, Any]:
    said = {
        "privacy_notice": config.privacy_notice or None,
        "purposes": [
            {
                "term": term,
                "purpose": purposes.iri(term),
                "purpose_type": purposes.PURPOSES[term],
                "lawful_basis": "dpv:ExplicitlyExpressedConsent",
            }
            for term in agreed.purposes
        ],
        "pii_information": [
            {
                "pii_type": "recordings of the person's voice, and speech synthesised from them",
                "pii_attribute_id": voice_id,
                "pii_optional": False,
                "sensitive_pii_category": True,
                "special_pii_category": True,
            }
        ],
        "collection_method": "a recorded statement that answers a fresh challenge, and a reference recording",
        "processing_method": "synthesis of speech in the person's voice, disclosed and marked in every clip",
        "processing_locations": ["any" if agreed.outside_boundary else "within the controller's boundary"],
        "geographic_restrictions": list(agreed.territories),
        "languages": list(agreed.languages),
        "channels": list(agreed.channels),
        "character_budget": agreed.character_budget,
        "valid_from": moment(agreed.valid_from),
        "valid_until": moment(agreed.valid_until),
        "withdrawal_method": WITHDRAWAL,
        "privacy_rights": list(_RIGHTS),
        "pii_controllers": [CONTROLLER],
        "recipient_third_parties": [GRANTEE],
    }
    return {name: value for name, value in said.items() if value is not None}


def _controller(config: ConsentConfig) -> dict[str, Any]:
    party = {"party_id": CONTROLLER, "party_name": config.provider, "party_role": "controller"}
    return party | ({"party_contact": config.privacy_contact} if config.privacy_contact else {})


def _event(event: Event) -> dict[str, Any]:
    return {
        "event_type": event.kind,
        "event_time": moment(event.at),
        "event_state": _STATE[event.kind],
        "entity_id": event.by,
    }


def _evidence(consent: Consent) -> dict[str, Any]:
    """What ties the consent to a person's own words: digests, never a recording or a score."""
    kept = ("enrolment", "statement_sha256", "digest")
    return {name: consent.evidence[name] for name in kept if name in consent.evidence}

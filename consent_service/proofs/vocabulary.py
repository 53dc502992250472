"""What the words of a consent receipt mean: a JSON-LD 1.1 context, part of every receipt. Nothing is ever fetched.

Where W3C's Data Privacy Vocabulary (DPV 2) or Dublin Core has a term, it is that term; the field names of ISO/IEC
TS 27560:2023 that have none there, and our own, are terms of a local namespace. The namespace is a UUID (RFC 8141,
§2.3.3 for the fragment), so that it belongs to no host that could change or forget it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

NAMESPACE: Final = "urn:uuid:f09030a7-54ce-50f8-ab47-faafb6c5dc70#"
DPV: Final = "https://w3id.org/dpv#"
STANDARD: Final = "ISO/IEC TS 27560:2023"

_KNOWN: Final = {
    "schema_version": "dct:conformsTo",
    "record_id": "dct:identifier",
    "pii_principal_id": "dpv:hasDataSubject",
    "state": {"@id": "dpv:hasConsentStatus", "@type": "@vocab"},
    "live": "dpv:ConsentGiven",
    "revoked": "dpv:ConsentWithdrawn",
    "issued_at": {"@id": "dct:issued", "@type": "xsd:dateTime"},
    "language": "dct:language",
    "purposes": "dpv:hasPurpose",
    "purpose": {"@id": "dct:type", "@type": "@id"},
    "purpose_type": {"@id": "dct:subject", "@type": "@vocab"},
    "lawful_basis": {"@id": "dpv:hasLegalBasis", "@type": "@vocab"},
    "privacy_notice": {"@id": "dpv:hasNotice", "@type": "@id"},
    "pii_information": "dpv:hasPersonalData",
    "pii_controllers": "dpv:hasDataController",
    "recipient_third_parties": "dpv:hasRecipient",
    "privacy_rights": "dpv:hasRight",
    "party_name": "dct:title",
    "event_time": {"@id": "dct:date", "@type": "xsd:dateTime"},
    "valid_from": {"@id": "local:valid_from", "@type": "xsd:dateTime"},
    "valid_until": {"@id": "local:valid_until", "@type": "xsd:dateTime"},
    "receipt_id": "local:receipt_id",
    "event_state": {"@id": "local:event_state", "@type": "@vocab"},
}

_LOCAL: Final = (
    "type", "record_version", "pii_processing", "party_identifiers", "events", "audit", "evidence",
    "term", "pii_type", "pii_attribute_id", "pii_optional", "sensitive_pii_category", "special_pii_category",
    "collection_method", "processing_method", "processing_locations", "geographic_restrictions", "withdrawal_method",
    "languages", "channels", "character_budget", "party_id", "party_role", "party_contact", "event_type", "entity_id",
    "validity_duration", "tenant", "leaf", "checkpoint", "enrolment", "statement_sha256", "digest",
)  # fmt: skip

CONTEXT: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "@version": 1.1,
        "dct": "http://purl.org/dc/terms/",
        "dpv": DPV,
        "local": NAMESPACE,
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "ConsentReceipt": "local:ConsentReceipt",
        **_KNOWN,
        **{term: f"local:{term}" for term in _LOCAL},
    }
)

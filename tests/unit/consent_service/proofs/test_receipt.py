"""Receipts: the fields of the standard, readable as JSON-LD without fetching anything, and any change is found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import ProofInvalid
from consent_service.policy import purposes
from consent_service.proofs.receipt import sign_receipt, verify_receipt
from consent_service.proofs.records import KeyPurpose
from consent_service.proofs.vocabulary import CONTEXT, DPV, NAMESPACE
from tests.assets.installation import DAY, Tenant

DOCS = Path(__file__).resolve().parents[4] / "docs" / "consent" / "consents.md"


def keys(world: Tenant) -> dict[str, bytes]:
    return world.service.keys.public_keys(KeyPurpose.RECEIPT)


def body_of(world: Tenant, text: str) -> dict[str, Any]:
    return verify_receipt(text, keys(world))


def test_a_receipt_has_the_fields_of_the_standard(world: Tenant) -> None:
    recorded = world.record(purposes=("narration.audiobook",), territories=("DE",), character_budget=90_000)
    body = body_of(world, recorded.receipt)
    consent = recorded.consent
    assert body["schema_version"] == "ISO/IEC TS 27560:2023"
    assert (body["record_id"], body["record_version"]) == (consent.consent_id, 1)
    assert body["pii_principal_id"] == consent.subject_id
    processing = body["pii_processing"]
    assert processing["purposes"] == [
        {
            "term": "narration.audiobook",
            "purpose": purposes.iri("narration.audiobook"),
            "purpose_type": "dpv:ServiceProvision",
            "lawful_basis": "dpv:ExplicitlyExpressedConsent",
        }
    ]
    assert processing["geographic_restrictions"] == ["DE"]
    assert processing["character_budget"] == 90_000
    assert processing["processing_locations"] == ["within the controller's boundary"]
    assert processing["pii_information"][0]["pii_attribute_id"] == world.voice.voice_id
    assert processing["withdrawal_method"]
    assert [party["party_role"] for party in body["party_identifiers"]] == ["controller", "recipient"]
    assert body["party_identifiers"][1]["party_name"] == "studio"
    assert body["events"] == [
        {
            "event_type": "given",
            "event_time": "2027-01-15T08:00:00Z",
            "event_state": "live",
            "entity_id": "pii_principal",
        }
    ]
    assert body["evidence"]["digest"] == consent.evidence["digest"]
    assert body["audit"]["checkpoint"].startswith("vouch.local/log/acme\n")
    assert "A Person" not in recorded.receipt


def test_every_field_means_something_without_fetching_anything(world: Tenant) -> None:
    body = body_of(world, world.consent.receipt)
    context = body["@context"]
    assert context == dict(CONTEXT)
    prefixes = {
        name: iri
        for name, iri in context.items()
        if (isinstance(iri, str) and "://" in iri) or name == "local"
    }

    def iri(term: Any) -> str:
        name = term["@id"] if isinstance(term, dict) else term
        prefix, _, rest = name.partition(":")
        assert prefix in prefixes, name
        return str(prefixes[prefix]) + rest

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        if isinstance(value, dict):
            for name, item in value.items():
                assert name.startswith("@") or iri(context[name]), name
                if name != "@context":
                    walk(item)

    walk(body)
    assert prefixes["local"] == NAMESPACE
    assert prefixes["dpv"] == DPV


def test_the_history_of_a_consent_is_told(world: Tenant) -> None:
    world.clock.now += 10
    world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration.audiobook"])
    world.clock.now += 10
    world.service.consents.narrow(world.admin, world.consent_id, languages=["de"])
    world.clock.now += 10
    world.service.consents.revoke(world.admin, world.consent_id, "over")
    body = body_of(world, world.service.consents.receipt(world.auditor, world.consent_id))
    assert [event["event_type"] for event in body["events"]] == ["given", "narrowed", "narrowed", "withdrawn"]
    assert [event["event_state"] for event in body["events"]] == ["live", "live", "live", "revoked"]
    assert [event["event_time"][-3:-1] for event in body["events"]] == ["00", "10", "20", "30"]
    assert (body["state"], body["record_version"]) == ("revoked", 3)


@pytest.mark.slow
def test_every_single_byte_of_a_receipt_counts(world: Tenant) -> None:
    trusted, raw = keys(world), world.consent.receipt.encode()
    assert verify_receipt(raw, trusted)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(ProofInvalid):
            verify_receipt(bytes(changed), trusted)
        if place % 7 == 0:
            with pytest.raises(ProofInvalid):
                verify_receipt(raw[:place] + raw[place + 1 :], trusted)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "1" * 5000, "[" * 100_000, '{"receipt":1,"signature":2}',
        '{"receipt":{},"signature":{"kid":[],"value":""}}', '{"receipt":{},"signature":{"kid":"x","value":7}}',
        '{"receipt":{"a":1e400},"signature":{"kid":"x","value":""}}', "\ud800", "x" * (2 << 20),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused_in_one_way(world: Tenant, text: str) -> None:
    with pytest.raises(ProofInvalid):
        verify_receipt(text, keys(world))


def test_another_document_under_the_same_key_is_no_receipt(world: Tenant) -> None:
    def sign(message: bytes) -> tuple[str, bytes]:
        return world.service.keys.sign(KeyPurpose.RECEIPT, message)

    text = sign_receipt({"type": "something else"}, sign).replace("vouch.consent-receipt.v1", "other")
    for forged in (
        text,
        world.consent.receipt + " ",
        world.consent.receipt.replace('{"receipt"', '{"a":1,"receipt"'),
    ):
        with pytest.raises(ProofInvalid):
            verify_receipt(forged, keys(world))
    with pytest.raises(ProofInvalid):
        verify_receipt(world.consent.receipt, {})


def test_the_evidence_is_kept_with_the_consent_and_its_digest_is_told(world: Tenant) -> None:
    evidence = world.service.consents.get(world.auditor, world.consent_id).evidence
    assert len(evidence["digest"]) == 64
    entry = next(entry for entry in world.log() if entry["kind"] == "consent.recorded")
    assert entry["evidence"] == evidence["digest"]


def test_the_docs_list_every_purpose_with_its_terms() -> None:
    listed = dict(
        re.findall(r"^\| `([a-z_.]+)` \| `(dpv:[A-Za-z]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    )
    assert listed == dict(purposes.PURPOSES)
    assert NAMESPACE in DOCS.read_text("utf-8")


@pytest.mark.parametrize("held", purposes.PURPOSES)
def test_a_purpose_covers_what_lies_below_it_and_never_what_lies_above(held: str) -> None:
    for asked in purposes.PURPOSES:
        below = asked.split(".")[: len(held.split("."))] == held.split(".")
        assert purposes.covers(held, asked) is below
        if below and asked != held:
            assert not purposes.covers(asked, held)


def test_a_consent_is_valid_for_ten_years_at_most_and_its_times_can_be_told(world: Tenant) -> None:
    now = world.clock.now
    assert world.record(valid_from=now, valid_until=now + 3652 * DAY)
    assert world.record(valid_from=now + 3652 * DAY, valid_until=now + 2 * 3652 * DAY)

"""The certificate of a deletion over HTTP: for whoever may read consents, once there is one; nobody else."""

from __future__ import annotations

from consent_service.proofs.certificate import verify_certificate
from consent_service.proofs.trust import TrustedKeys
from tests.unit.serve_app.house import House, Studio, code_of


def test_a_certificate_is_served_once_there_is_one_and_verifies_offline(house: House, studio: Studio) -> None:
    admin, path = studio.keys["admin"], f"/v1/voices/{studio.voice.voice_id}/certificate"
    early = house.request("GET", path, key=admin)
    assert (early.status_code, code_of(early)) == (404, "certificate_missing")
    made = house.post(
        "/v1/voice-clone",
        {
            "text": "Good morning.",
            "voice_id": studio.voice.voice_id,
            "language": "en",
            "purpose": "narration",
        },
        key=studio.keys["narrator"],
    )
    assert made.status_code == 200
    ended = house.post(f"/v1/voices/{studio.voice.voice_id}/decommission", {"reason": "the end"}, key=admin)
    assert ended.status_code == 200
    answer = house.request("GET", path, key=admin)
    assert answer.headers["content-type"].startswith("application/json")
    service = house.service
    trusted = TrustedKeys.from_text(service.exports.trusted_keys(service.authenticate(admin)))
    found = verify_certificate(answer.text, trusted)
    assert found.voice_id == studio.voice.voice_id
    assert found.account["clips"]["copies"] == 1  # what the door's cache held
    refused = house.request("GET", path, key=studio.keys["narrator"])
    assert (refused.status_code, code_of(refused)) == (403, "permission_denied")

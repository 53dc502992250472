"""Keys are rotated while the door is open: replicas learn the new ones, stamping goes on, nobody is restarted."""

from __future__ import annotations

import time

from consent_service.access import NewKey, insert_key
from consent_service.models import Claims, Principal, Role
from consent_service.rotation.rotate import KeyKind
from consent_service.service import ConsentService
from tests.unit.serve_app.house import House, Studio

BODY = {"language": "en", "speaker": "Vivian", "purpose": "narration"}


def who_answers_for_the_installation(service: ConsentService, studio: Studio) -> Principal:
    """The first tenant's first key does; this house keeps none of its first tenant's, so one is put in by hand."""
    key = NewKey.mint()
    with service._core.ledger.write() as connection:
        insert_key(
            connection, key, tenant=studio.name, grantee="house", roles=[Role.INSTALLATION], claims=Claims(),
            label="", now=time.time(), expires_at=None,
        )  # fmt: skip
    return service.authenticate(key.token)


def test_the_door_speaks_and_verifies_across_a_rotation_of_every_key(house: House, studio: Studio) -> None:
    key = studio.keys["narrator"]
    before = house.post("/v1/custom-voice", BODY | {"text": "The lamp was lit at nine."}, key=key)
    operator = ConsentService.open(house.config.consent)  # another process, as far as the door can see
    operator.rotation.rotate(who_answers_for_the_installation(operator, studio), list(KeyKind))
    operator.close()
    after = house.post("/v1/custom-voice", BODY | {"text": "The lamp was lit at ten."}, key=key)
    assert (before.status_code, after.status_code) == (200, 200), after.text
    for clip in (before, after):
        verdict = house.request(
            "POST", "/v1/verify", content=clip.content, headers={"Content-Type": "audio/wav"}
        )
        assert (verdict.json()["origin"], verdict.json()["integrity"]) == ("ours", "intact")
    again = house.request("GET", f"/v1/clips/{before.headers['x-clip-id']}", key=key)
    assert again.status_code == 200  # stored under the old key-encryption key

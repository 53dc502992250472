"""What a reviewer decides on, over HTTP: what waits, its recordings (sealed on their way), and further statements."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile

from consent_service.errors import VaultError
from serve_app.gate.consent_api import consent_api
from serve_app.gate.uploads import ReaderKey, seal_to_reader
from synthesis.voice import Design
from tests.unit.serve_app.house import FaultInjector, House, Studio, code_of, recording


@pytest.fixture
def crossed(house: House) -> Iterator[list[Any]]:
    """Everything that goes over the gate's handle, and what comes back."""
    seen: list[Any] = []

    class Listening(FaultInjector):
        async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
            answer = await super().call(method, *args, **kwargs)
            seen.append((method, args, kwargs, answer))
            return answer

    surface = house.http.state.surface
    object.__setattr__(surface, "api", consent_api(Listening(surface.api._consents)))  # type: ignore[arg-type]
    yield seen
    object.__setattr__(surface, "api", house.context.consents)


def waiting_statement(house: House, studio: Studio, purpose: str = "dubbing") -> str:
    """A further statement of the studio's voice, given over HTTP; returns the sentence."""
    begun = house.post(
        f"/v1/voices/{studio.voice.voice_id}/statements",
        {"grantee": "studio", "purpose": purpose},
        key=studio.keys["admin"],
    )
    assert begun.status_code == 201, begun.text
    given = house.post(
        f"/v1/voices/statements/{begun.json()['enrolment_id']}/complete",
        {"statement": base64.b64encode(recording(3.5, hertz=200)).decode()},
        key=studio.keys["admin"],
    )
    assert given.status_code == 200, given.text
    assert given.json()["counts"] is False
    return str(begun.json()["sentence"])


def test_a_further_statement_is_heard_approved_and_then_covers_a_consent(
    house: House, studio: Studio
) -> None:
    with pytest.raises(Exception, match="another grantee or purpose"):
        studio.record(purposes=("dubbing",), bind=False)
    sentence = waiting_statement(house, studio)
    voice = f"/v1/voices/{studio.voice.voice_id}"
    waiting = house.request("GET", f"{voice}/review", key=studio.keys["reviewer"]).json()
    assert (waiting["sentence"], waiting["purpose"], waiting["kind"]) == (sentence, "dubbing", "statement")
    for part in ("statement", "reference"):
        heard = house.request("GET", f"{voice}/statement?part={part}", key=studio.keys["reviewer"])
        assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
        assert heard.headers["cache-control"] == "no-store"
        assert soundfile.info(io.BytesIO(heard.content)).frames > 3 * 16_000
    assert house.post(f"{voice}/review", {"approve": True}, key=studio.keys["reviewer"]).status_code == 200
    assert studio.record(purposes=("dubbing",), bind=False)
    late = house.request("GET", f"{voice}/statement", key=studio.keys["reviewer"])
    assert (late.status_code, code_of(late)) == (409, "voice_not_in_review")


def test_only_a_reviewer_hears_it(house: House, studio: Studio) -> None:
    waiting_statement(house, studio, "research")
    for part in ("admin", "narrator", "auditor"):
        for path in ("statement", "review"):
            answer = house.request("GET", f"/v1/voices/{studio.voice.voice_id}/{path}", key=studio.keys[part])
            assert (answer.status_code, code_of(answer)) == (403, "permission_denied")
    unknown = house.request(
        "GET", f"/v1/voices/{studio.voice.voice_id}/statement?part=everything", key=studio.keys["reviewer"]
    )
    assert unknown.status_code == 400


def test_what_comes_back_over_a_handle_is_sealed_to_the_one_who_asked(
    house: House, studio: Studio, crossed: list[Any]
) -> None:
    waiting_statement(house, studio, "training")
    heard = house.request(
        "GET", f"/v1/voices/{studio.voice.voice_id}/statement", key=studio.keys["reviewer"]
    ).content
    method, _, _, answer = crossed[-1]
    assert method == "open_statement_to"
    assert len(answer) > len(heard)
    assert heard[2_000:2_032] not in answer


def test_a_recording_opens_for_its_own_request_and_part_only() -> None:
    mine, other = ReaderKey("voice_1", "statement"), ReaderKey("voice_1", "statement")
    sealed = seal_to_reader(mine.public_bytes, "voice_1", "statement", b"a recording")
    assert mine.open(sealed) == b"a recording"
    for wrong in (
        other,
        ReaderKey("voice_2", "statement"),
        ReaderKey("voice_1", "reference"),
    ):
        with pytest.raises(VaultError):
            wrong.open(sealed)
    for voice_id, part in (("voice_2", "statement"), ("voice_1", "reference")):
        with pytest.raises(VaultError):
            mine.open(seal_to_reader(mine.public_bytes, voice_id, part, b"a recording"))


def test_a_clip_is_handed_over_only_by_the_replica_that_redeemed_its_grant(
    house: House, studio: Studio
) -> None:
    """Another replica's word, or a word without the node secret, releases no audio."""
    from serve_app.errors import RequestRefused

    class Elsewhere(FaultInjector):
        async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "hand_over":
                kwargs = {**kwargs, "replica_id": "another-replica"}
            return await super().call(method, *args, **kwargs)

    door, keeper = house.clips, house.clips._publisher
    gate, keeper._gate = keeper._gate, Elsewhere(house.gate)
    try:
        with pytest.raises(RequestRefused) as refused:
            house.run(door.create_clip(studio.say("Said by somebody else.", voice=Design())))
    finally:
        keeper._gate = gate
    assert refused.value.code == "grant_mismatch"
    assert studio.endings()[-1] == ("failed", "grant_mismatch")

"""A stored clip goes out in another format as it goes out as it is: to its grantee, while its consent stands, in the
log, with everything that a clip of ours carries; and it is made once."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from consent_service.models import Role
from provenance.errors import StampFailed
from provenance.formats.catalogue import FORMATS, PCM, format_named
from provenance.formats.decode import decode_own
from provenance.formats.delivery import delivery
from provenance.presence import PRESENT, PresenceMark
from provenance.stamp import Stamper
from serve_app.clips.renditions import clip_and_form, rendition_id
from serve_app.clips.store import ClipStore
from serve_app.errors import RequestRefused
from serve_app.gate.client import BlockingGateClient
from serve_app.ingress.clip_routes import MANIFEST_LENGTH
from tests.unit.serve_app.house import FaultInjector, House, Studio, answering, code_of, raising

SAID = "Good morning. This is a sentence of some length, so that there is enough of it to hear the mark."


@pytest.fixture
def clip(house: House, studio: Studio) -> httpx.Response:
    body = {"text": SAID, "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
    answer = house.post("/v1/voice-clone", body, key=studio.keys["narrator"])
    assert answer.status_code == 200, answer.text
    return answer


def fetch(
    house: House, studio: Studio, clip: httpx.Response, *, key: str | None = None, **asked: Any
) -> httpx.Response:
    path = f"/v1/clips/{clip.headers['x-clip-id']}"
    return house.request("GET", path, key=key or studio.keys["narrator"], params=asked)


def verified(house: House, key: str | None, audio: bytes, manifest: bytes | None) -> dict[str, Any]:
    before = {} if manifest is None else {MANIFEST_LENGTH: str(len(manifest))}
    answer = house.request("POST", "/v1/verify", key=key, content=(manifest or b"") + audio, headers=before)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


class Transcoding:
    """The stamper, seen at work; `instead` is called before it, and may raise."""

    def __init__(self, house: House, instead: Any = None) -> None:
        self._stamper, self._instead, self.made = house.stamper, instead, 0

    def transcode(self, *asked: Any) -> Any:
        self.made += 1
        if self._instead is not None:
            self._instead()
        return self._stamper.transcode(*asked)


def asked_of(
    house: House, studio: Studio, clip: httpx.Response, *, times: int = 1, form: str = "mp3", **parts_of: Any
) -> list[httpx.Response]:
    """The same request, at once, to a door that the test put together."""

    async def ask() -> list[httpx.Response]:
        parts = await house.parts(house.engine, **parts_of)
        path, key = f"/v1/clips/{clip.headers['x-clip-id']}?response_format={form}", studio.keys["narrator"]
        try:
            return await asyncio.gather(
                *(house.asend("GET", path, key=key, app=parts.http) for _ in range(times))
            )
        finally:
            await parts.worker.close()

    return house.run(ask())


@pytest.mark.parametrize("name", [*FORMATS, "aac"])
def test_in_every_form_it_is_ours_whole_and_stands_as_its_consent_stands(
    house: House, studio: Studio, clip: httpx.Response, name: str
) -> None:
    form, key = format_named(name), studio.keys["narrator"]
    rate = form.rates[-1]
    answer = fetch(house, studio, clip, response_format=name, sample_rate=rate)
    assert (answer.status_code, answer.headers["content-type"]) == (200, form.media_type)
    assert answer.headers["x-ai-generated"] == "true"
    named = f"{clip.headers['x-clip-id']}-{form.name}-{rate}"
    assert answer.headers["x-clip-id"] == named
    link = answer.headers["link"].partition(">")[0].removeprefix("<")
    manifest = house.request("GET", link, key=key).content
    beside = None if form.embeds_manifest else manifest
    assert beside is not None or manifest in answer.content
    told = verified(house, studio.keys["auditor"], answer.content, beside)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    assert (told["notes"], told["evidence"]["disclosure"]["clip_id"]) == (["derived"], named)
    if form is not PCM:  # of raw samples the manifest alone is read
        assert told["evidence"]["keyed_mark"]["clip_id"] == clip.headers["x-clip-id"]
    heard = decode_own(answer.content, form, rate)
    assert PresenceMark().detect(heard.samples, heard.sample_rate) >= PRESENT
    studio.revoke()
    told = verified(house, studio.keys["auditor"], answer.content, beside)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "withdrawn since")
    assert house.request("GET", link, key=key).content == manifest, "what is in the world can be looked up"


def test_without_being_asked_it_goes_out_as_it_is_kept(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    for asked in ({}, {"response_format": "wav"}, {"response_format": "wav", "sample_rate": 24_000}):
        answer = fetch(house, studio, clip, **asked)
        assert (answer.content, answer.headers["x-clip-id"]) == (clip.content, clip.headers["x-clip-id"])
    assert len(studio.stored()) == 1


def test_by_the_id_of_the_form_that_it_is_in_already_it_is_the_clip_itself(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    stamper = Transcoding(house)
    path, key = f"/v1/clips/{clip.headers['x-clip-id']}", studio.keys["narrator"]
    own = house.request("GET", f"{path}-wav-24000", key=key)
    assert (own.content, own.headers["x-clip-id"]) == (clip.content, clip.headers["x-clip-id"])
    manifest = house.request("GET", f"{path}-wav-24000/manifest", key=key)
    assert (manifest.status_code, manifest.content) == (
        200,
        house.request("GET", f"{path}/manifest", key=key).content,
    )
    (asked,) = asked_of(house, studio, clip, stamper=stamper, form="wav")
    assert (asked.content, stamper.made) == (clip.content, 0), "and nothing is decoded to find that out"


def test_its_own_id_leads_to_it_and_to_its_clip(house: House, studio: Studio, clip: httpx.Response) -> None:
    made = fetch(house, studio, clip, response_format="opus")
    path, key = f"/v1/clips/{made.headers['x-clip-id']}", studio.keys["narrator"]
    assert house.request("GET", path, key=key).content == made.content
    record = house.request("GET", f"{path}/record", key=key).json()
    assert (record["clip_id"], record["standing"]) == (clip.headers["x-clip-id"], "live")
    state = house.request("GET", f"{path}/manifest", key=key, headers={"Accept": "application/json"}).json()
    assert state["state"] == "Trusted"
    other = house.request("GET", path, key=key, params={"response_format": "flac"})
    assert other.headers["x-clip-id"] == f"{clip.headers['x-clip-id']}-flac-24000"


def test_the_log_says_which_file_went_out(house: House, studio: Studio, clip: httpx.Response) -> None:
    answer = fetch(house, studio, clip, response_format="mp3")
    entry = studio.log()[-1]
    assert (entry["kind"], entry["clip"]) == ("clip.released", clip.headers["x-clip-id"])
    assert entry["audio"] == hashlib.sha256(answer.content).hexdigest()


def test_it_is_made_and_signed_once_and_each_release_is_in_the_log(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    stamper = Transcoding(house)
    together = asked_of(house, studio, clip, times=4, stamper=stamper)
    later = fetch(house, studio, clip, response_format="mp3")
    assert stamper.made == 1
    assert {answer.content for answer in (*together, later)} == {later.content}
    assert [entry["kind"] for entry in studio.log()].count("clip.released") == 5
    assert len(studio.stored()) == 2


def test_another_grantee_of_the_tenant_learns_nothing_of_it(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    made = fetch(house, studio, clip, response_format="mp3")
    stranger = studio.api_key(Role.NARRATOR, grantee="others")
    narrow = studio.api_key(Role.NARRATOR, purposes=("advertising",))
    for key in (stranger, narrow, house.studio().keys["narrator"]):
        answer = fetch(house, studio, clip, key=key, response_format="mp3")
        assert (answer.status_code, code_of(answer)) == (404, "clip_unknown")
        path = f"/v1/clips/{made.headers['x-clip-id']}"
        for what in ("", "/manifest", "/record"):
            assert code_of(house.request("GET", path + what, key=key)) == "clip_unknown"
        assert set(verified(house, key, made.content, None)) == {"origin", "integrity", "notes", "sentence"}


@pytest.mark.parametrize("made_before", [True, False])
def test_a_withdrawn_clip_is_refused_in_every_form_and_the_log_says_so(
    house: House, studio: Studio, clip: httpx.Response, made_before: bool
) -> None:
    if made_before:
        assert fetch(house, studio, clip, response_format="mp3").status_code == 200
    studio.revoke()
    answer = fetch(house, studio, clip, response_format="mp3")
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert studio.log()[-1]["kind"] == "clip.withheld"
    assert len(studio.stored()) == 1 + made_before


def test_a_clip_withdrawn_while_it_is_made_neither_leaves_nor_stays(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    (answer,) = asked_of(house, studio, clip, stamper=Transcoding(house, studio.revoke))
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert len(studio.stored()) == 1


def test_a_clip_withdrawn_just_before_it_is_released_does_not_leave(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    async def last_word(real: Any) -> Any:
        studio.revoke()
        return await real()

    (answer,) = asked_of(house, studio, clip, gate={"release_clip": last_word})
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert studio.log()[-1]["kind"] == "clip.withheld"


def test_the_end_of_a_voice_is_the_end_of_its_clips_in_every_form(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    for name in ("mp3", "opus"):
        assert fetch(house, studio, clip, response_format=name).status_code == 200
    assert len(studio.stored()) == 3
    house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
    assert studio.stored() == []


def test_a_form_that_is_made_while_its_voice_ends_does_not_stay(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    def end() -> None:
        house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")

    async def after(real: Any) -> Any:
        await real()
        await asyncio.to_thread(end)

    (answer,) = asked_of(house, studio, clip, gate={"add_copy": after})
    assert answer.status_code == 403
    assert studio.stored() == []


@pytest.mark.parametrize(
    "broken",
    [
        {"gate": {"add_copy": raising(RequestRefused("ledger_unavailable", "no"))}},
        {"gate": {"new_clip_key": answering((b"", b""))}},
        {"publish": OSError("no room")},
        {"gate": {"standing": raising(RequestRefused("ledger_unavailable", "no"))}},
        {"gate": {"release_clip": raising(RequestRefused("ledger_unavailable", "no"))}},
        {"gate": {"clip_for": raising(RequestRefused("ledger_unavailable", "no"))}},
        {"stamper": StampFailed("the mark did not hold")},
        {"stamper": MemoryError()},
    ],
    ids=[
        "not registered",
        "no key",
        "not kept",
        "no standing",
        "not audited",
        "no gate",
        "not marked",
        "no memory",
    ],
)
def test_whatever_fails_on_the_way_nothing_leaves(
    house: House,
    studio: Studio,
    clip: httpx.Response,
    broken: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if (full := broken.get("publish")) is not None:

        def publish(*_: Any) -> None:
            raise full

        monkeypatch.setattr(ClipStore, "publish", publish)
        broken = {}
    if (error := broken.get("stamper")) is not None:

        def fail() -> None:
            raise error

        broken = {"stamper": Transcoding(house, fail)}
    (answer,) = asked_of(house, studio, clip, **broken)
    assert answer.status_code >= 500
    assert code_of(answer)
    assert [entry["kind"] for entry in studio.log()].count("clip.released") == 0
    assert {file.suffix for file in studio.stored()} == {".clip"}, "and nothing half-made stays"


def test_a_gate_that_is_lost_while_it_signs_a_form_is_a_lost_gate(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    async def unsigned() -> Any:
        broken = FaultInjector(house.gate, sign_manifest=raising(RequestRefused("ledger_unavailable", "…")))
        return Stamper(await BlockingGateClient.connect(broken, house.node_secret))

    (answer,) = asked_of(house, studio, clip, stamper=house.run(unsigned()))
    assert (answer.status_code, code_of(answer)) == (503, "ledger_unavailable")
    assert {file.suffix for file in studio.stored()} == {".clip"}


def test_a_kept_form_that_was_tampered_with_does_not_leave(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    original = set(studio.stored())
    assert fetch(house, studio, clip, response_format="mp3").status_code == 200
    (kept,) = set(studio.stored()) - original
    raw = bytearray(kept.read_bytes())
    raw[-20] ^= 1
    kept.write_bytes(raw)
    answer = fetch(house, studio, clip, response_format="mp3")
    assert (answer.status_code, code_of(answer)) == (503, "vault_error")


def test_nothing_of_it_is_kept_in_the_clear(house: House, studio: Studio, clip: httpx.Response) -> None:
    before = set(studio.stored())
    answer = fetch(house, studio, clip, response_format="opus")
    (kept,) = set(studio.stored()) - before
    assert b"OggS" not in kept.read_bytes()
    assert b"c2pa" not in kept.read_bytes()
    assert answer.content[2_000:2_032] not in kept.read_bytes()


def test_making_it_does_not_hold_up_the_event_loop(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    def wait_for_the_loop() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), house.thread.loop).result(10)

    (answer,) = asked_of(house, studio, clip, stamper=Transcoding(house, wait_for_the_loop))
    assert answer.status_code == 200


def test_the_forms_are_in_the_document(house: House) -> None:
    operation = house.http.openapi()["paths"]["/v1/clips/{clip_id}"]["get"]
    assert {one["name"] for one in operation["parameters"]} == {"clip_id", "response_format", "sample_rate"}
    assert set(operation["responses"]["200"]["content"]) == {one.media_type for one in FORMATS.values()}


def test_a_form_whose_manifest_was_lost_is_verified_by_the_one_that_is_kept(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    bare = fetch(house, studio, clip, response_format="opus").content
    told = verified(house, studio.keys["auditor"], bare, None)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    assert told["notes"] == ["derived"]


def test_what_was_heard_as_a_stream_can_be_fetched_whole(house: House, studio: Studio) -> None:
    body = {"text": SAID, "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
    streamed = house.post(
        "/v1/voice-clone", {**body, "stream": True, "response_format": "opus"}, key=studio.keys["narrator"]
    )
    answer = fetch(house, studio, streamed, response_format="wav")
    told = verified(house, studio.keys["auditor"], answer.content, None)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    assert told["evidence"]["presence"] >= PRESENT


def test_a_manifest_of_a_form_that_nobody_fetched_is_not_there(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    path = f"/v1/clips/{clip.headers['x-clip-id']}-flac-24000/manifest"
    answer = house.request("GET", path, key=studio.keys["narrator"])
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"response_format": "webm"}, "format_unsupported", "response_format"),
        ({"response_format": "mp3", "sample_rate": 44_100}, "sample_rate_unsupported", "sample_rate"),
        ({"sample_rate": 16_000}, "request_invalid", "response_format"),
        ({"response_format": "mp3", "sample_rate": "fast"}, "request_invalid", "sample_rate"),
    ],
)
def test_what_cannot_be_made_is_said_by_name(
    house: House, studio: Studio, clip: httpx.Response, asked: dict[str, Any], code: str, param: str
) -> None:
    answer = fetch(house, studio, clip, **asked)
    assert (answer.status_code, code_of(answer)) == (400, code)
    assert answer.json()["error"]["param"].endswith(param)


def test_an_id_says_which_clip_and_in_which_form() -> None:
    clip_id = "0123456789abcdef" * 2
    for form in FORMATS.values():
        for rate in form.rates:
            wanted = delivery(form.name, rate)
            assert clip_and_form(rendition_id(clip_id, wanted)) == (clip_id, wanted)
    for other in (
        clip_id, f"{clip_id}-mp3", f"{clip_id}-mp3-8000", f"{clip_id}-webm-24000", f"{clip_id}-aac-24000",
        f"{clip_id}-mp3-024000", f"{clip_id}-mp3-24000-wav-24000", f"x{clip_id}-mp3-24000", "", "-mp3-24000",
    ):  # fmt: skip
        assert clip_and_form(other) == (other, None)

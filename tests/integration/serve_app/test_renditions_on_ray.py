"""A stored clip in another format, over real HTTP: the ingress makes it, the gate signs it and holds the log."""

from __future__ import annotations

import hashlib

import pytest

from serve_app.ingress.clip_routes import MANIFEST_LENGTH
from tests.integration.serve_app.conftest import Enrolled
from tests.integration.serve_app.instance import Instance

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

TEXT = "A clip that is wanted in another format."


@pytest.mark.parametrize("form", ["mp3", "opus"])
def test_a_clip_is_fetched_in_another_format_behind_the_proxy(
    instance: Instance, enrolled: Enrolled, form: str
) -> None:
    said = {
        "text": TEXT, "language": "en", "voice_id": enrolled.voice_id, "consent_token": enrolled.token,
        "purpose": "narration",
    }  # fmt: skip
    clip = instance.post("/v1/voice-clone", said)
    assert clip.status_code == 200, clip.text
    clip_id, caller = clip.headers["x-clip-id"], instance.bearer("narrator")
    path = f"/v1/clips/{clip_id}?response_format={form}"
    made = instance.http.get(path, headers=caller)
    assert made.status_code == 200, made.text
    assert made.headers["x-clip-id"] == f"{clip_id}-{form}-24000"
    assert instance.http.get(path, headers=caller).content == made.content
    before, header = b"", {}
    if form == "opus":
        link = made.headers["link"].partition(">")[0].removeprefix("<")
        before = instance.http.get(link, headers=caller).content
        header = {MANIFEST_LENGTH: str(len(before))}
    told = instance.http.post(
        "/v1/verify", content=before + made.content, headers={**instance.bearer("auditor"), **header}
    ).json()
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    released = [one for one in instance.log() if one["kind"] == "clip.released" and one["clip"] == clip_id]
    assert [one["audio"] for one in released][-2:] == [hashlib.sha256(made.content).hexdigest()] * 2

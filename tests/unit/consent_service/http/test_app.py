"""The service over HTTP: everything described, one error shape, bodies bounded and in memory, nothing told in vain."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from consent_service import api, errors
from consent_service.errors import ConsentError
from consent_service.http.app import build_app
from consent_service.http.config import ApiConfig
from consent_service.http.errors import CONSENT_STATUS
from consent_service.models import Claims, Role
from consent_service.service import ConsentService
from foundation.errors import CodedError
from foundation.private_files import KeyFileUnsafe
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced
from tests.unit.consent_service.operations import OPERATIONS

# Operations of the machine that holds ledger and keys.
LOCAL = {
    "log.export", "exports.write_bundle", "rotation.rotate", "rotation.retire", "deletion.sweep_vault",
    "gate.authorize", "gate.close_abandoned", "gate.forget_replicas",
}  # fmt: skip


@pytest.fixture
def key(world: Tenant) -> str:
    return world.service.tenants.bootstrap("platform")


@pytest.fixture
def client(world: Tenant) -> TestClient:
    config = ApiConfig(consent=world.config, max_body_bytes=64 << 10, max_upload_bytes=1 << 20)
    # Not entered: the service is closed by the world, and not by the application's shutdown.
    return TestClient(build_app(world.service, config), raise_server_exceptions=False)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "request_id"}
    assert error["request_id"] == response.headers["x-request-id"]
    return str(error["code"])


def test_every_operation_is_there_and_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = [op for ops in document["paths"].values() for op in ops.values()]
    assert all(op.get("description") and op.get("tags") for op in operations)
    reachable = {op["operationId"].partition("_v1_")[0] for op in operations}
    routes = {
        "voices.review": "review_voice", "voices.list_all": "list_voices", "voices.get": "show_voice",
        "voices.keep_designed": "keep_designed_voice", "deletion.keep_until": "keep_voice_until",
        "deletion.resume": "resume_decommissions", "consents.record": "record_consent",
        "exports.standings": "standings",
        "consents.narrow": "narrow_consent", "consents.revoke": "revoke_consent",
        "consents.list_all": "list_consents", "consents.get": "show_consent", "gate.authorize_many": "decide",
        "clips.get": "clip_record", "clips.release": "release_clip", "log.inclusion_proof": "inclusion",
        "log.consistency_proof": "consistency", "platform.find_clip": "register_clip",
    }  # fmt: skip
    for name in sorted(set(OPERATIONS) - LOCAL):
        assert routes.get(name, name.partition(".")[2]) in reachable, name


def test_every_error_has_a_status_of_its_own_and_its_code_alone_has_the_same() -> None:
    def family(kind: type[ConsentError]) -> Iterator[type[ConsentError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from family(child)

    for kind in (*family(ConsentError), KeyFileUnsafe):
        status = CONSENT_STATUS.of(kind.code, kind)
        assert status == CONSENT_STATUS.of(kind.code), kind
        mapped = {each for each in kind.__mro__ if each in CONSENT_STATUS.by_class} - {
            ConsentError,
            CodedError,
        }
        assert mapped or kind is ConsentError, kind


def test_who_is_not_known_or_may_not_is_told_so_in_one_shape(client: TestClient, key: str) -> None:
    nobody = client.get("/v1/voices")
    assert (nobody.status_code, code(nobody)) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert code(client.get("/v1/voices", headers=bearer("vouch_x_y"))) == "unauthenticated"
    assert code(client.get("/v1/voices", headers={"Authorization": "Basic eDp5"})) == "unauthenticated"
    may_not = client.post("/v1/decisions", headers=bearer(key), json={"claims": [CLAIM]})
    assert (may_not.status_code, code(may_not)) == (403, "permission_denied")
    assert code(client.get("/v1/voices/none", headers=bearer(key))) == "voice_unknown"
    nowhere = client.get("/nowhere")
    assert (code(nowhere), nowhere.json()["error"]["type"]) == ("not_found", "invalid_request")
    assert code(client.delete("/v1/voices", headers=bearer(key))) == "method_not_allowed"


CLAIM = {"mode": "design", "language": "en", "said_digest": "0" * 64, "characters": 1}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "json_invalid"),
        (b"[]", "request_invalid"),
        (b'{"grantee":"g","roles":["narrator"],"more":1}', "request_invalid"),
        (b'{"grantee":"g","roles":["king"]}', "request_invalid"),
        (b'{"grantee":"g","roles":["subject"]}', "role_not_assignable"),
        (b'{"grantee":"","roles":["narrator"]}', "name_invalid"),
        (b'{"grantee":"g","roles":["narrator"],"expires_at":1}', "validity_invalid"),
        (b'{"grantee":"g","roles":["narrator"],"claims":{"purposes":["all"]}}', "purpose_unknown"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_400(client: TestClient, key: str, body: bytes, told: str) -> None:
    headers = bearer(key) | {"Content-Type": "application/json"}
    response = client.post("/v1/keys", headers=headers, content=body)
    assert (response.status_code, code(response)) == (400, told)


def test_what_was_sent_is_never_quoted(
    client: TestClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vouch")
    secret = "c2VjcmV0IHJlY29yZGluZw"
    for path, body in (
        (
            "/v1/voices/enrolments/e/complete",
            {"reference": secret, "statement": [secret], "transcript": secret},
        ),
        ("/v1/subject/sign-in", {"token": [secret]}),
        ("/v1/subject/sign-in", {"token": secret}),
        ("/v1/subject/links", {"tenant": "acme", "contact": {secret: 1}}),
        ("/v1/voices/v/contact", {"contact": secret}),
        ("/v1/grants/redeem", {"token": secret, "replica_id": secret * 20}),
    ):
        response = client.post(path, headers=bearer(key), json=body)
        assert response.status_code in (400, 401, 403, 404), response.text
        assert secret not in response.text + caplog.text


def test_a_body_is_bounded_and_a_stranger_s_is_not_read(client: TestClient, key: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65536

    upload = "/v1/voices/enrolments/e/complete"
    for path, content in (("/v1/keys", b"x" * 70_000), ("/v1/keys", endless()), (upload, endless())):
        response = client.post(path, headers=bearer(key), content=content)
        assert (response.status_code, code(response)) == (413, "upload_too_large")
    read = []

    def watched() -> Iterator[bytes]:
        for number in range(8):
            read.append(number)
            yield b"x" * 65536

    assert client.post(upload, content=watched()).status_code == 401


def test_recordings_stay_in_memory(
    client: TestClient, world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("an upload was spooled to a disk")

    challenge = world.service.voices.begin_enrolment(
        world.admin, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
    )
    admin = world.service.tenants.create_key(
        world.admin, grantee="g", roles=[Role.VOICE_ADMIN], claims=Claims()
    )
    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(tempfile, name, no_file)
    body = {
        "reference": base64.b64encode(voiced(4.0)).decode(),
        "statement": base64.b64encode(voiced(3.5)).decode(),
        "transcript": "said",
    }
    path = f"/v1/voices/enrolments/{challenge.enrolment_id}/complete"
    response = client.post(path, headers=bearer(admin), json=body)
    assert response.json()["state"] == "review", response.text


def test_what_goes_wrong_inside_is_not_told_outside(
    client: TestClient,
    key: str,
    world: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the words of Mr Private")

    monkeypatch.setattr(world.service.voices, "list_all", fail)
    response = client.get("/v1/voices", headers=bearer(key))
    assert (response.status_code, code(response)) == (500, "internal_error")
    assert "Private" not in response.text + caplog.text
    assert "RuntimeError" in caplog.text

    def down(*_: object) -> None:
        raise errors.LedgerUnavailable("the ledger cannot be reached")

    monkeypatch.setattr(world.service, "ready", down)
    unready = client.get("/readyz")
    assert (unready.status_code, code(unready), unready.headers["retry-after"]) == (
        503,
        "ledger_unavailable",
        "2",
    )
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_link_that_can_not_be_sent_is_told_to_the_operator_alone(
    client: TestClient, world: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: object) -> None:
        raise errors.LedgerUnavailable("the ledger cannot be reached")

    monkeypatch.setattr(world.service.self_service, "send_sign_in_link", down)
    asked = client.post("/v1/subject/links", json={"tenant": "acme", "contact": "mary@example.org"})
    assert asked.status_code == 202
    assert "ledger_unavailable" in caplog.text
    assert "mary" not in caplog.text


def test_it_is_ready_while_it_runs_and_closes_what_it_was_given(tmp_path: Path) -> None:
    config = ApiConfig.model_validate({"consent": {"data_dir": tmp_path / "data"}})
    service = ConsentService.open(config.consent)
    before = service._core.ledger.engine.pool
    with TestClient(build_app(service, config)) as running:
        assert running.get("/readyz").json() == {"status": "ready"}
    assert service._core.ledger.engine.pool is not before  # disposed of: a new, empty one took its place


def test_a_guesser_is_told_to_wait(client: TestClient, key: str) -> None:
    answers = [client.get("/v1/voices", headers=bearer("vouch_0000000000000000_x")) for _ in range(25)]
    assert {answer.status_code for answer in answers[:20]} == {401}
    assert (answers[-1].status_code, code(answers[-1])) == (429, "rate_limited")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert client.get("/v1/voices", headers=bearer(key)).status_code == 429


def test_metrics_count_and_hold_no_id(client: TestClient, key: str, world: Tenant) -> None:
    client.get(f"/v1/voices/{world.voice.voice_id}", headers=bearer(key))
    client.get("/v1/" + "made-up-" * 5)
    client.request("TEAPOT", "/v1/voices")
    narrator = world.service.tenants.create_key(
        world.admin,
        grantee="g",
        roles=[Role.NARRATOR],
        claims=world.narrator.claims,
    )
    client.post(
        "/v1/decisions", headers=bearer(narrator), json={"claims": [{**CLAIM, "purpose": "advertising"}]}
    )
    text = client.get("/metrics").text
    labels = {
        (family.name, name): value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert labels
    for hidden in (world.voice.voice_id, key.split("_")[1], "made-up", "TEAPOT", "acme", "platform"):
        assert hidden not in text
    assert 'route="/v1/voices/{voice_id}"' in text
    assert 'outcome="purpose_not_claimable"' in text


def test_answers_are_kept_out_of_caches_and_carry_the_caller_s_request_id(
    client: TestClient, key: str
) -> None:
    response = client.get("/v1/voices", headers=bearer(key) | {"X-Request-Id": "mine-1"})
    assert (response.headers["x-request-id"], response.headers["cache-control"]) == ("mine-1", "no-store")
    assert client.get("/healthz", headers={"X-Request-Id": "a b\n"}).headers["x-request-id"] != "a b"


def test_it_starts_without_torch_and_ray() -> None:
    probe = (
        "import sys, consent_service.api; "
        "print([m for m in ('torch', 'ray', 'transformers', 'resemblyzer') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_configuration_that_can_not_be_used_says_why_without_quoting_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, told in (
        ("consent: {data_dir: /x, ledger_url: 'postgresql://u:hunter2@h/d'}", "password"),
        (
            "consent: {data_dir: /x, smtp: {host: mail.example.org, security: none, sender: hunter2@x.y}}",
            "TLS",
        ),
        ("hunter2: 1", "consent"),
        ("{hunter2", "YAML"),
        ("consent: {data_dir: /x}\ntls_key: /hunter2", "tls_certificate"),
    ):
        config = tmp_path / "config.yaml"
        config.write_text(text)
        assert api.main(["serve", "--config", str(config)]) == 1
        written = capsys.readouterr()
        assert told in written.err
        # The name of a setting is no value: whoever mistypes one must see which.
        assert "hunter2" not in (written.err + written.out).replace("no setting is called hunter2", "")
    assert api.main(["serve", "--config", str(tmp_path / "missing")]) == 1
    with pytest.raises(SystemExit) as usage:
        api.main(["fly"])
    assert usage.value.code == 2


def test_a_tenant_is_made_once_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"consent": {"data_dir": str(tmp_path / "data")}}))
    arguments: list[Any] = ["bootstrap", "--config", str(config), "acme"]
    assert api.main(arguments) == 0
    assert capsys.readouterr().out.startswith("vouch_")
    assert api.main(arguments) == 1
    assert "tenant_exists" in capsys.readouterr().err

"""Every route asks who is calling, and lets exactly those through whom the permission table does: in the process of the
ledger, and through the gate of the online door."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from consent_service.http.app import build_app, include_surface, new_app
from consent_service.http.config import ApiConfig
from consent_service.http.context import Surface
from consent_service.http.errors import install
from consent_service.models import Claims, Role
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey, load_node_secret
from serve_app.call_signing import CallSigner
from serve_app.errors import STATUS
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi, consent_api
from serve_app.handles import Callee, fail_closed, remote
from serve_app.ingress.edge import Edge
from tests.assets.installation import DAY, START, Tenant, digest
from tests.assets.voiced import voiced
from tests.unit.consent_service.post import letters
from tests.unit.serve_app.handle import HandleTo

R = Role
RECORDING = base64.b64encode(b"not a recording").decode()
CLAIM = {
    "mode": "design",
    "language": "en",
    "said_digest": digest("x"),
    "characters": 1,
    "purpose": "narration",
}
CLOSING = {"outcome": "failed"}
TERMS = {
    "voice_id": "{voice}", "grantee": "studio", "purposes": ["narration"], "languages": ["en"],
    "valid_from": START, "valid_until": START + DAY,
}  # fmt: skip

# Route → who may, who may not, and a body that makes sense.
ROUTES: dict[tuple[str, str], tuple[Role, Role, Any]] = {
    ("POST", "/v1/keys"): (R.OPERATOR, R.VOICE_ADMIN, {"grantee": "g", "roles": ["job"]}),
    ("GET", "/v1/keys"): (R.OPERATOR, R.AUDITOR, None),
    ("POST", "/v1/keys/{key_id}/revoke"): (R.OPERATOR, R.VOICE_ADMIN, None),
    ("POST", "/v1/keys/{key_id}/bindings"): (R.VOICE_ADMIN, R.NARRATOR, {"consent_id": "{consent}"}),
    ("GET", "/v1/voices"): (R.NARRATOR, R.GATE, None),
    ("GET", "/v1/voices/{voice_id}"): (R.REVIEWER, R.STAMPER, None),
    ("POST", "/v1/voices/enrolments"): (
        R.VOICE_ADMIN,
        R.REVIEWER,
        {"name": "n", "language": "en", "grantee": "g", "purpose": "narration", "subject_name": "s"},
    ),
    ("POST", "/v1/voices/enrolments/{enrolment_id}/complete"): (
        R.VOICE_ADMIN,
        R.REVIEWER,
        {
            "reference": base64.b64encode(voiced(4.0)).decode(),
            "statement": base64.b64encode(voiced(3.5)).decode(),
            "transcript": "t",
        },
    ),
    ("GET", "/v1/voices/enrolments/{enrolment_id}/doubts"): (R.VOICE_ADMIN, R.REVIEWER, None),
    ("GET", "/v1/voices/{voice_id}/holdings"): (R.VOICE_ADMIN, R.REVIEWER, None),
    ("POST", "/v1/voices/{voice_id}/statements"): (
        R.VOICE_ADMIN,
        R.REVIEWER,
        {"grantee": "g", "purpose": "dubbing"},
    ),
    ("POST", "/v1/voices/statements/{statement_id}/complete"): (
        R.VOICE_ADMIN,
        R.REVIEWER,
        {"statement": base64.b64encode(voiced(3.5)).decode()},
    ),
    ("POST", "/v1/voices/designed"): (
        R.VOICE_ADMIN,
        R.NARRATOR,
        {
            "name": "n",
            "language": "en",
            "reference": base64.b64encode(voiced(4.0)).decode(),
            "transcript": "t",
            "clip_id": "c",
        },
    ),
    ("GET", "/v1/voices/{voice_id}/review"): (R.REVIEWER, R.VOICE_ADMIN, None),
    ("GET", "/v1/voices/{voice_id}/review/{part}"): (R.REVIEWER, R.VOICE_ADMIN, None),
    ("GET", "/v1/voices/{voice_id}/statement"): (R.REVIEWER, R.VOICE_ADMIN, None),
    ("POST", "/v1/voices/{voice_id}/review"): (R.REVIEWER, R.VOICE_ADMIN, {"approve": True}),
    ("POST", "/v1/voices/{voice_id}/contact"): (R.VOICE_ADMIN, R.OPERATOR, {"contact": "a@b.example"}),
    ("POST", "/v1/voices/{voice_id}/retention"): (R.VOICE_ADMIN, R.AUDITOR, {"until": None}),
    ("POST", "/v1/voices/{voice_id}/decommission"): (R.VOICE_ADMIN, R.OPERATOR, {"reason": "over"}),
    ("GET", "/v1/voices/{voice_id}/certificate"): (R.AUDITOR, R.NARRATOR, None),
    ("POST", "/v1/voices/sweep"): (R.VOICE_ADMIN, R.OPERATOR, {}),
    ("POST", "/v1/voices/resume-decommissions"): (R.VOICE_ADMIN, R.OPERATOR, None),
    ("POST", "/v1/consents"): (R.VOICE_ADMIN, R.REVIEWER, TERMS),
    ("GET", "/v1/consents"): (R.AUDITOR, R.NARRATOR, None),
    ("GET", "/v1/consents/{consent_id}"): (R.AUDITOR, R.NARRATOR, None),
    ("GET", "/v1/consents/{consent_id}/receipt"): (R.AUDITOR, R.NARRATOR, None),
    ("POST", "/v1/consents/{consent_id}/narrow"): (R.VOICE_ADMIN, R.OPERATOR, {"languages": ["de"]}),
    ("POST", "/v1/consents/{consent_id}/narrow/preview"): (R.VOICE_ADMIN, R.OPERATOR, {"languages": ["de"]}),
    ("POST", "/v1/consents/{consent_id}/revoke"): (R.VOICE_ADMIN, R.OPERATOR, {"reason": "over"}),
    ("POST", "/v1/decisions"): (R.NARRATOR, R.GATE, {"claims": [CLAIM]}),
    ("POST", "/v1/grants/redeem"): (R.GATE, R.NARRATOR, {"token": "t", "replica_id": "r"}),
    ("POST", "/v1/grants/reuse"): (R.REPLICA, R.STAMPER, {"token": "t", "clip_id": "c"}),
    ("POST", "/v1/grants/{grant_id}/close"): (R.STAMPER, R.REPLICA, CLOSING),
    ("POST", "/v1/grants/{grant_id}/design"): (
        R.REPLICA,
        R.STAMPER,
        {"replica_id": "r", "proof": RECORDING, "audio_sha256": "ab" * 32},
    ),
    ("PUT", "/v1/replicas/{replica_id}"): (R.REPLICA, R.GATE, {"public_key": RECORDING, "proof": RECORDING}),
    ("GET", "/v1/replicas/{replica_id}/watermark-keys/{epoch}"): (R.REPLICA, R.GATE, None),
    ("GET", "/v1/revocations"): (R.GATE, R.STAMPER, None),
    ("PUT", "/v1/clips/{clip_id}"): (R.STAMPER, R.REPLICA, {"audio_sha256": "ab" * 32, "seconds": 1.0}),
    ("GET", "/v1/clips/{clip_id}"): (R.AUDITOR, R.STAMPER, None),
    ("GET", "/v1/clips/{clip_id}/record"): (R.AUDITOR, R.STAMPER, None),
    ("POST", "/v1/clips/{clip_id}/release"): (R.JOB, R.GATE, None),
    ("GET", "/v1/clips/{clip_id}/standing"): (R.GATE, R.NARRATOR, None),
    ("GET", "/v1/audit/checkpoint"): (R.AUDITOR, R.VOICE_ADMIN, None),
    ("GET", "/v1/audit/entries"): (R.OPERATOR, R.NARRATOR, None),
    ("GET", "/v1/audit/inclusion/{leaf}"): (R.AUDITOR, R.NARRATOR, None),
    ("GET", "/v1/audit/consistency"): (R.AUDITOR, R.NARRATOR, None),
    ("GET", "/v1/audit/standings"): (R.AUDITOR, R.NARRATOR, None),
    ("GET", "/v1/audit/trusted-keys"): (R.AUDITOR, R.NARRATOR, None),
    ("POST", "/v1/subject/sign-out"): (R.SUBJECT, R.VOICE_ADMIN, None),
    ("GET", "/v1/subject/voices"): (R.SUBJECT, R.VOICE_ADMIN, None),
    ("GET", "/v1/subject/consents"): (R.SUBJECT, R.VOICE_ADMIN, None),
    ("GET", "/v1/subject/uses"): (R.SUBJECT, R.VOICE_ADMIN, None),
    ("GET", "/v1/subject/consents/{consent_id}/receipt"): (R.SUBJECT, R.VOICE_ADMIN, None),
    ("POST", "/v1/subject/consents/{consent_id}/revoke"): (R.SUBJECT, R.VOICE_ADMIN, {}),
    ("POST", "/v1/subject/voices/{voice_id}/decommission"): (R.SUBJECT, R.VOICE_ADMIN, {"reason": "over"}),
    ("GET", "/v1/subject/voices/{voice_id}/certificate"): (R.SUBJECT, R.VOICE_ADMIN, None),
}
# For everybody: they hold no tenant's data, or a link speaks for the caller.
OPEN = {
    ("GET", "/v1/public-keys"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
    ("POST", "/v1/subject/contact"), ("POST", "/v1/subject/links"), ("POST", "/v1/subject/sign-in"),
}  # fmt: skip


# What the deployments of the online door do among themselves: the consent service on its own alone serves these.
OF_A_PLATFORM = (
    "/v1/decisions", "/v1/grants", "/v1/replicas", "/v1/revocations", "/v1/clips", "/healthz", "/readyz", "/metrics",
)  # fmt: skip


def through_a_gate(service: ConsentService, node_secret: bytes) -> FastAPI:
    """The same surface over a handle: each call is signed, pickled and opened again; recordings cross it sealed."""
    gate: SealedConsentApi = GateConsentApi(service)
    signer = CallSigner(node_secret)
    handle = HandleTo(Callee(signer).offer(SealedConsentApi, gate))
    over = remote(SealedConsentApi, handle, signer, timeout_s=60, lost="ledger_unavailable")
    app = new_app("a door", "", "1")
    include_surface(app, Surface(consent_api(fail_closed(SealedConsentApi, over))))
    app.add_middleware(Edge, deadline_s=60, max_body_bytes=32 << 20)
    install(app, STATUS)
    return app


@pytest.fixture(params=["in this process", "through a gate"])
def client(world: Tenant, request: pytest.FixtureRequest) -> TestClient:
    app = (
        build_app(world.service, ApiConfig(consent=world.config))
        if request.param == "in this process"
        else through_a_gate(world.service, load_node_secret(world.data_dir))
    )
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def platform(world: Tenant) -> TestClient:
    return TestClient(
        build_app(world.service, ApiConfig(consent=world.config)), raise_server_exceptions=False
    )


def served(client: TestClient) -> dict[tuple[str, str], tuple[Role, Role, Any]]:
    """The part of the table that an application has routes for."""
    paths = client.get("/openapi.json").json()["paths"]
    return {route: row for route, row in ROUTES.items() if route[1] in paths}


def key_of(world: Tenant, role: Role) -> str:
    if role is not Role.SUBJECT:
        claims = Claims(purposes=("narration",), voices=("*",))
        return world.service.tenants.create_key(world.admin, grantee="studio", roles=[role], claims=claims)
    if not letters(world.data_dir):
        world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "mary@example.org")
        world.service.self_service.confirm_contact(letters(world.data_dir)[-1].token)
    world.service.self_service.request_sign_in("acme", "mary@example.org")
    return world.service.self_service.sign_in(letters(world.data_dir)[-1].token).api_key


def ask(client: TestClient, world: Tenant, route: tuple[str, str], key: str | None) -> Any:
    method, path = route
    body = ROUTES[route][2]
    if isinstance(body, dict):
        known = {"{voice}": world.voice.voice_id, "{consent}": world.consent_id}
        body = {
            name: known.get(value, value) if isinstance(value, str) else value for name, value in body.items()
        }
    where = path.format(
        key_id=world.narrator.key_id, voice_id=world.voice.voice_id, consent_id=world.consent_id, part="statement",
        enrolment_id="e", statement_id="s", grant_id="g", replica_id="r", epoch=1, clip_id="c", leaf=0,
    )  # fmt: skip
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    query = {"size": 1, "first": 1, "second": 1} if "/audit/" in path else {}
    return client.request(method, where, headers=headers, json=body, params=query)


def test_every_route_is_in_the_table(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    everything = set(ROUTES) | OPEN
    surface = {route for route in everything if not route[1].startswith(OF_A_PLATFORM)}
    assert documented in (everything, surface)
    assert len(surface) > 35


def test_nobody_gets_past_without_a_key(client: TestClient, world: Tenant) -> None:
    for route in served(client):
        assert ask(client, world, route, None).status_code == 401, route


def test_a_role_without_the_right_is_refused_on_every_route(client: TestClient, world: Tenant) -> None:
    keys = {role: key_of(world, role) for role in {refused for _, refused, _ in ROUTES.values()}}
    for route, (_, refused, _) in served(client).items():
        response = ask(client, world, route, keys[refused])
        assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied"), route


def test_a_role_with_the_right_is_served_on_every_route(client: TestClient, world: Tenant) -> None:
    key_of(world, Role.SUBJECT)  # her contact is confirmed before anybody proposes another
    # What ends something comes last; she ends it herself while she can still sign in.
    ends = ("revoke", "/decommission", "/v1/voices/{voice_id}/decommission")
    for route in sorted(served(client), key=lambda each: [end in each[1] for end in reversed(ends)]):
        response = ask(client, world, route, key_of(world, ROUTES[route][0]))
        if response.is_success:
            continue
        # What the body names does not exist, or was ended before: that was found out after the right was.
        code = response.json()["error"]["code"]
        assert response.status_code in (400, 403, 404, 409), (route, response.text)
        found_out = ("_unknown", "_missing", "_malformed", "_not_in_review", "_not_designed", "_revoked")
        assert code.endswith(found_out), (route, code)


def test_a_replica_of_a_platform_registers_and_is_given_what_is_sealed_to_it(
    platform: TestClient, world: Tenant
) -> None:
    client = platform

    def put(path: str, key: str, body: dict[str, Any]) -> Any:
        response = client.put(path, headers={"Authorization": f"Bearer {key}"}, json=body)
        assert response.is_success, response.text
        return response

    def get(path: str, key: str, **query: Any) -> Any:
        return client.get(path, headers={"Authorization": f"Bearer {key}"}, params=query).json()

    def post(path: str, key: str, body: dict[str, Any]) -> Any:
        return client.post(path, headers={"Authorization": f"Bearer {key}"}, json=body).json()

    replica, gate, stamper = (key_of(world, role) for role in (R.REPLICA, R.GATE, R.STAMPER))
    own = ReplicaKey("elsewhere")
    proof = own.proof(load_node_secret(world.data_dir))
    body = {
        "public_key": base64.b64encode(own.public_bytes).decode(),
        "proof": base64.b64encode(proof).decode(),
    }
    assert put("/v1/replicas/elsewhere", replica, body).json()
    assert base64.b64decode(get("/v1/replicas/elsewhere/watermark-keys/1", replica)["sealed"])
    redeemed = post("/v1/grants/redeem", gate, {"token": world.allow().token, "replica_id": "elsewhere"})
    assert base64.b64decode(redeemed["sealed_reference"])
    clip_id = redeemed["grant"]["clip_id"]
    put(f"/v1/clips/{clip_id}", stamper, {"audio_sha256": "ab" * 32, "seconds": 1.0})
    reused = post("/v1/grants/reuse", gate, {"token": world.allow().token, "clip_id": clip_id})
    assert reused["sealed_reference"] is None
    assert post(f"/v1/grants/{redeemed['grant']['grant_id']}/close", stamper, CLOSING)["leaf"] > 0
    narrator = key_of(world, R.NARRATOR)
    assert get(f"/v1/clips/{clip_id}", narrator)["audio_sha256"] == "ab" * 32
    assert post(f"/v1/clips/{clip_id}/release", narrator, {})["state"] == "live"
    asked = {"consent_id": world.consent_id, "consent_version": 1}
    assert get(f"/v1/clips/{clip_id}/standing", gate, **asked)["standing"] == "live"
    assert get("/v1/revocations", gate, wait_s=0.2) == []
    assert set(client.get("/v1/public-keys").json()) == {"grant", "log", "receipt"}


def test_a_person_comes_in_by_a_link_alone(client: TestClient, world: Tenant) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(path, json=body)

    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "mary@example.org")
    token = letters(world.data_dir)[-1].token
    assert post("/v1/subject/contact", {"token": token}).json() == {"state": "confirmed"}
    unknown = post("/v1/subject/links", {"tenant": "acme", "contact": "nobody@example.org"})
    known = post("/v1/subject/links", {"tenant": "acme", "contact": "mary@example.org"})
    assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())
    session = post("/v1/subject/sign-in", {"token": letters(world.data_dir)[-1].token}).json()
    assert set(session) == {"api_key", "subject_id", "expires_at"}
    for _ in range(10):
        last = post("/v1/subject/links", {"tenant": "acme", "contact": "nobody@example.org"})
    assert last.status_code == 429

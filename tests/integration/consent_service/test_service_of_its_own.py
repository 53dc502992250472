"""The consent service as a process of its own, asked over HTTP by a platform that has nothing else of ours."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from consent_service.models import Redeemed
from consent_service.proofs.receipt import verify_receipt
from consent_service.vault.sealing import ReplicaKey, load_node_secret, open_reference
from tests.assets.databases import DATABASES, drop, ledger_url
from tests.assets.installation import digest
from tests.assets.voiced import voiced
from tests.unit.consent_service.post import letters

DAY = 86_400.0


@dataclass
class Instance:
    """A running service, and the first key of its tenant."""

    url: str
    data_dir: Path
    admin: str
    process: subprocess.Popen[bytes]
    output: Path

    def ask(self, method: str, path: str, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=30.0, **request)

    def done(self, method: str, path: str, key: str | None = None, **request: Any) -> Any:
        response = self.ask(method, path, key, **request)
        assert response.is_success, response.text
        return response.json() if "json" in response.headers.get("content-type", "") else response.text

    def key(self, *roles: str, **claims: list[str]) -> str:
        body = {"grantee": "studio", "roles": roles, "claims": claims}
        return str(self.done("POST", "/v1/keys", self.admin, json=body)["api_key"])


@pytest.fixture(scope="module", params=DATABASES)
def instance(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    tmp_path = tmp_path_factory.mktemp("platform")
    database, port = ledger_url(request.param), _free_port()
    consent = {
        "data_dir": str(tmp_path / "data"),
        "clip_stores": [(tmp_path / "clips").as_uri()],
        "ledger_url": database,
        "examination": {"speaker": "none", "marks": "none"},
    }
    config = tmp_path / "consent.yaml"
    config.write_text(yaml.safe_dump({"consent": consent, "port": port, "max_upload_bytes": 4 << 20}))
    command = [sys.executable, "-m", "consent_service.api"]
    made = subprocess.run(
        [*command, "bootstrap", "--config", config, "acme"], capture_output=True, text=True, check=True
    )
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, "serve", "--config", config], stdout=file, stderr=subprocess.STDOUT
        )
    found = Instance(f"http://127.0.0.1:{port}", tmp_path / "data", made.stdout.strip(), process, output)
    try:
        _wait_until_ready(found)
        yield found
    finally:
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGTERM)  # uvicorn shuts down, then hands the signal on
        if database is not None:
            drop(database)


def test_a_platform_enrols_consents_decides_redeems_and_proves(instance: Instance) -> None:
    reviewer, auditor = instance.key("reviewer"), instance.key("auditor")
    gate, replica, stamper = (instance.key(role) for role in ("gate", "replica", "stamper"))
    narrator = instance.key("narrator", purposes=["narration"], voices=["*"])
    voice_id = enrol(instance, reviewer)
    consent = record(instance, voice_id)

    # The receipt verifies against the keys that the service publishes, without the service.
    published = instance.done("GET", "/v1/public-keys")["receipt"]
    keys = {kid: base64.b64decode(key) for kid, key in published.items()}
    consent_id = consent["consent"]["consent_id"]
    receipt = instance.ask("GET", f"/v1/consents/{consent_id}/receipt", auditor).content
    assert verify_receipt(receipt, keys)["record_id"] == consent_id

    own_key = ReplicaKey("platform#1")
    proof = own_key.proof(load_node_secret(instance.data_dir))
    body = {"public_key": b64(own_key.public_bytes), "proof": b64(proof)}
    assert instance.done("PUT", "/v1/replicas/platform%231", replica, json=body)

    allowed, denied = decide(instance, narrator, voice_id, consent["consent_token"])
    assert (denied["allowed"], denied["code"]) == (False, "purpose_not_claimable")
    redeemed = instance.done(
        "POST", "/v1/grants/redeem", gate, json={"token": allowed["token"], "replica_id": "platform#1"}
    )
    reference = base64.b64decode(redeemed["sealed_reference"])
    sealed = Redeemed(_grant(redeemed), redeemed["audit_leaf"], redeemed["checkpoint"], reference)
    wav, transcript = open_reference(own_key, sealed)
    assert (wav[:4], transcript) == (b"RIFF", "what is said")
    again = instance.ask(
        "POST", "/v1/grants/redeem", gate, json={"token": allowed["token"], "replica_id": "platform#1"}
    )
    assert (again.status_code, again.json()["error"]["code"]) == (403, "grant_used")

    clip_id, grant_id = redeemed["grant"]["clip_id"], redeemed["grant"]["grant_id"]
    finished = {
        "audio_sha256": "ab" * 32,
        "seconds": 1.5,
        "objects": [(instance.data_dir.parent / "clips/acme/1").as_uri()],
    }
    assert instance.ask("PUT", f"/v1/clips/{clip_id}", stamper, json=finished).status_code == 204
    closing = {"outcome": "completed", "seconds": 1.5, "audio_sha256": "ab" * 32}
    leaf = instance.done("POST", f"/v1/grants/{grant_id}/close", stamper, json=closing)["leaf"]
    assert instance.done("GET", f"/v1/clips/{clip_id}", narrator)["audio_sha256"] == "ab" * 32

    asked = {"consent_id": consent_id, "consent_version": 1}
    assert instance.done("GET", f"/v1/clips/{clip_id}/standing", stamper, params=asked)["standing"] == "live"
    before = instance.done("GET", "/v1/revocations", gate)
    instance.done("POST", f"/v1/consents/{consent_id}/revoke", instance.admin, json={"reason": "over"})
    after = before[-1]["seq"] if before else 0
    events = instance.done("GET", "/v1/revocations", gate, params={"after": after, "wait_s": 5})
    assert [event["consent_id"] for event in events] == [consent_id]
    assert (
        "withdrawn"
        in instance.done("GET", f"/v1/clips/{clip_id}/standing", stamper, params=asked)["standing"]
    )

    note = instance.done("GET", "/v1/audit/checkpoint", auditor)
    size = int(note.split("\n")[1])
    proved = instance.done("GET", f"/v1/audit/inclusion/{leaf}", auditor, params={"size": size})
    assert proved["path"]
    metrics = instance.done("GET", "/metrics")
    assert 'vouch_consent_decisions_total{outcome="allowed"} 1.0' in metrics
    assert 'route="/v1/clips/{clip_id}"' in metrics
    seen = metrics + instance.output.read_text()
    for hidden in (
        clip_id,
        voice_id,
        narrator,
        narrator.split("_")[1],
        allowed["token"],
        consent["consent_token"],
        "Mary",
    ):
        assert hidden not in seen


def test_a_person_signs_in_by_a_link_and_withdraws(instance: Instance) -> None:
    voice_id = enrol(instance, instance.key("reviewer"), contact="mary@example.org")
    consent_id = record(instance, voice_id)["consent"]["consent_id"]
    (letter,) = letters(instance.data_dir)
    confirmed = instance.done("POST", "/v1/subject/contact", json={"token": letter.token})
    assert confirmed == {"state": "confirmed"}

    def ask_for_a_link(contact: str) -> httpx.Response:
        return instance.ask("POST", "/v1/subject/links", json={"tenant": "acme", "contact": contact})

    unknown, known = ask_for_a_link("nobody@example.org"), ask_for_a_link("mary@example.org")
    assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())
    token = _eventually(lambda: letters(instance.data_dir)[1:])[0].token
    session = instance.done("POST", "/v1/subject/sign-in", json={"token": token})["api_key"]
    assert instance.ask("POST", "/v1/subject/sign-in", json={"token": token}).status_code == 401
    assert [voice["voice_id"] for voice in instance.done("GET", "/v1/subject/voices", session)] == [voice_id]
    assert instance.done("GET", "/v1/subject/uses", session) == {"uses": [], "next": ""}
    instance.done("POST", f"/v1/subject/consents/{consent_id}/revoke", session, json={})
    assert instance.ask("GET", "/v1/voices", session).status_code == 403
    gone = instance.done(
        "POST", f"/v1/subject/voices/{voice_id}/decommission", session, json={"reason": "gone"}
    )
    assert gone["state"] == "decommissioned"
    assert instance.ask("GET", f"/v1/subject/voices/{voice_id}/certificate", session).is_success
    assert instance.ask("POST", "/v1/subject/sign-out", session).status_code == 204
    assert instance.ask("GET", "/v1/subject/voices", session).status_code == 401


def enrol(instance: Instance, reviewer: str, contact: str = "") -> str:
    begun = instance.done(
        "POST", "/v1/voices/enrolments", instance.admin,
        json={
            "name": "A voice", "language": "en", "grantee": "studio", "purpose": "narration",
            "subject_name": "Mary Exemplar", "contact": contact,
        },
    )  # fmt: skip
    recordings = {
        "reference": b64(voiced(4.0, hertz=180.0)),
        "statement": b64(voiced(3.5, hertz=181.0)),
        "transcript": "what is said",
    }
    path = f"/v1/voices/enrolments/{begun['enrolment_id']}/complete"
    assert instance.ask("POST", path, json=recordings).status_code == 401  # before the body is read
    assert instance.done("POST", path, instance.admin, json=recordings)["state"] == "review"
    heard = instance.ask("GET", f"/v1/voices/{begun['voice_id']}/review/statement", reviewer)
    assert (heard.headers["content-type"], heard.headers["cache-control"]) == ("audio/wav", "no-store")
    approved = instance.done(
        "POST", f"/v1/voices/{begun['voice_id']}/review", reviewer, json={"approve": True}
    )
    assert approved["state"] == "active"
    return str(begun["voice_id"])


def record(instance: Instance, voice_id: str) -> Any:
    terms = {
        "voice_id": voice_id, "grantee": "studio", "purposes": ["narration"], "languages": ["en"],
        "valid_from": time.time() - DAY, "valid_until": time.time() + DAY, "character_budget": 1000,
    }  # fmt: skip
    return instance.done("POST", "/v1/consents", instance.admin, json=terms)


def decide(instance: Instance, narrator: str, voice_id: str, token: str) -> Any:
    claim = {
        "mode": "clone", "voice_id": voice_id, "language": "en", "said_digest": digest("hello"), "characters": 5,
        "purpose": "narration", "consent_token": token,
    }  # fmt: skip
    claims = [claim, {**claim, "purpose": "advertising"}]
    return instance.done("POST", "/v1/decisions", narrator, json={"claims": claims})["decisions"]


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _grant(redeemed: Any) -> Any:
    from consent_service.grants import Basis, Grant

    told = dict(redeemed["grant"])
    return Grant(**{**told, "basis": Basis(told["basis"])})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(instance: Instance) -> None:
    def ready() -> bool:
        assert instance.process.poll() is None, instance.output.read_text()
        try:
            return instance.ask("GET", "/readyz").is_success
        except httpx.TransportError:
            return False

    _eventually(ready)


def _eventually(look: Any, patience_s: float = 30.0) -> Any:
    until = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found

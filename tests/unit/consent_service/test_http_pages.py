"""What a browser opens comes from here alone: no other host, no script in a page, and no link used up by a visit."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from consent_service.config import page_at
from consent_service.http import pages
from consent_service.http.app import allow_origins, new_app
from consent_service.http.config import ApiConfig

DATA = Path(str(resources.files("consent_service.http"))) / "data"
ELSEWHERE = re.compile(r"(?:src|href)=[\"']?(?:https?:)?//")


@pytest.fixture
def client() -> TestClient:
    app = new_app("an application", "", "1")
    app.include_router(pages.router)
    return TestClient(app)


@pytest.mark.parametrize("page", ["/me", "/docs"])
def test_a_page_loads_only_files_of_this_service_and_each_is_there(client: TestClient, page: str) -> None:
    answer = client.get(page)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert not ELSEWHERE.search(answer.text)
    files = re.findall(r"(?:src|href)=\"([^\"]+)\"", answer.text)
    assert len(files) > 1
    for file in files:
        if not file.startswith("data:"):
            assert client.get(f"/{file}").status_code == 200, file


@pytest.mark.parametrize("page", ["/me", "/docs"])
def test_a_page_runs_no_script_but_its_file_and_asks_no_other_host(client: TestClient, page: str) -> None:
    answer = client.get(page)
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["connect-src"]) == ("'self'", "'self'")
    assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    # Nothing in the page that the policy would refuse: no script's text, no handler in an attribute.
    assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL) == [""] * answer.text.count(
        "<script"
    )
    assert not re.search(r"\son\w+=", answer.text)


def test_a_persons_style_is_as_strict(client: TestClient) -> None:
    assert "unsafe" not in client.get("/me").headers["content-security-policy"]


def test_a_file_that_is_none_of_a_page_is_not_there(client: TestClient) -> None:
    for path in ("/docs/LICENSE", "/me/index.html", "/me/..%2Fdocs%2Fstart.js", "/docs/%2e%2e%2f__init__.py"):
        assert client.get(path).status_code == 404, path


def test_the_persons_script_uses_a_link_only_after_a_button_and_keeps_no_key() -> None:
    script = (DATA / "me" / "page.js").read_text(encoding="utf-8")
    for call in ('"contact"', '"sign-in"'):
        before, _, _ = script.partition(f'call("POST", {call}')
        handler = before.rindex("on(")
        assert before[handler:].startswith(('on("confirm-button"', 'on("sign-in-button"')), call
    for kept in ("localStorage", "sessionStorage", "document.cookie", "innerHTML", "eval("):
        assert kept not in script
    assert script.index("history.replaceState") < script.index("fetch("), (
        "the token leaves the address bar first"
    )


def test_the_documentation_ships_with_its_licence() -> None:
    assert "Apache License" in (DATA / "docs" / "LICENSE").read_text(encoding="utf-8")
    assert (DATA / "docs" / "NOTICE").is_file()


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123/me"),
        ("0.0.0.0", "http://127.0.0.1:8123/me"),
        ("::1", "http://[::1]:8123/me"),
        ("voices.example.org", "http://voices.example.org:8123/me"),
    ],
)
def test_a_persons_link_leads_to_where_the_service_listens(host: str, page: str) -> None:
    assert page_at(host, 8123) == page
    config = ApiConfig.model_validate({"consent": {"data_dir": "x"}, "host": host, "port": 8123})
    assert config.consent.subject_page == page
    elsewhere = {"consent": {"data_dir": "x", "subject_page": "https://voices.example.org/me"}, "port": 8123}
    assert ApiConfig.model_validate(elsewhere).consent.subject_page == "https://voices.example.org/me"


def preflight(client: TestClient, origin: str) -> str | None:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return client.options("/me", headers=asks).headers.get("access-control-allow-origin")


def test_no_page_of_another_origin_may_call_unless_it_is_named(client: TestClient) -> None:
    assert preflight(client, "https://app.example") is None
    app = FastAPI()
    app.include_router(pages.router)
    allow_origins(app, ["https://app.example"])
    named = TestClient(app)
    assert preflight(named, "https://app.example") == "https://app.example"
    assert preflight(named, "https://other.example") is None
    answer = named.get("/me", headers={"Origin": "https://app.example"})
    assert "access-control-allow-credentials" not in answer.headers
    assert "X-Clip-Id" in answer.headers["access-control-expose-headers"]

"""The OpenAPI document is generated, complete, and promises nothing that is never given."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from serve_app.metrics import SERIES, PrometheusMetrics
from tests.unit.serve_app.house import House

PUBLIC = {
    "/healthz", "/readyz", "/v1/verify", "/v1/disclosure", "/v1/audio/voices", "/v1/public-keys", "/v1/subject/contact",
    "/v1/subject/links", "/v1/subject/sign-in",
}  # fmt: skip
WITHOUT_A_BODY = {"/v1/keys/{key_id}/revoke", "/v1/voices/resume-decommissions", "/v1/subject/sign-out"}


def test_every_route_of_the_contract_is_in_the_document(house: House) -> None:
    paths = house.http.openapi()["paths"]
    for path in (
        "/v1/audio/speech", "/v1/voice-clone", "/v1/voice-design", "/v1/custom-voice", "/v1/voices", "/v1/consents",
        "/v1/consents/{consent_id}/revoke", "/v1/consents/{consent_id}/receipt", "/v1/clips/{clip_id}",
        "/v1/clips/{clip_id}/manifest", "/v1/clips/{clip_id}/record", "/v1/verify", "/v1/audit/checkpoint",
        "/v1/audit/entries", "/v1/audio/voices", "/v1/subject/voices", "/v1/keys", "/healthz", "/readyz",
    ):  # fmt: skip
        assert path in paths


def test_every_post_says_what_it_takes_and_every_route_who_may_call_it(house: House) -> None:
    for path, operations in house.http.openapi()["paths"].items():
        for verb, operation in operations.items():
            assert "422" not in operation["responses"], path
            assert "4XX" in operation["responses"], path
            if verb == "post" and path not in WITHOUT_A_BODY:
                assert operation["requestBody"]["content"], path
            if path not in PUBLIC:
                assert operation["security"] == [{"HTTPBearer": []}], path


def test_the_same_series_are_kept_by_prometheus_client_outside_ray() -> None:
    metrics = PrometheusMetrics(CollectorRegistry())
    metrics.count("vouch_decisions_total", code="ok")
    metrics.observe("vouch_stamp_seconds", 0.2)
    assert metrics.registry.get_sample_value("vouch_decisions_total", {"code": "ok"}) == 1
    assert metrics.registry.get_sample_value("vouch_stamp_seconds_count") == 1
    for name, (kind, *_rest) in SERIES.items():
        assert name.endswith("_total") == (kind == "counter")

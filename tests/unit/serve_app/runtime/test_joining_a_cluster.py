"""A cluster that wants a token is told from one that does not answer, before Ray's client tries for twenty seconds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serve_app.runtime import start
from serve_app.runtime.start import ClusterUnreachable


class Head(grpc.GenericRpcHandler):
    """A Ray head, as far as the one question goes."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(self._status, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def head(request: pytest.FixtureRequest) -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, handlers=(Head(request.param),))
        port = server.add_insecure_port("0.0.0.0:0")  # Ray writes this node's address for 127.0.0.1
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.mark.parametrize("head", [grpc.StatusCode.UNAUTHENTICATED], indirect=True)
def test_a_cluster_that_wants_a_token_is_told_as_that(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", head)
    with pytest.raises(ClusterUnreachable, match="RAY_AUTH_MODE=token") as refused, start._cluster_ray():
        pass
    assert refused.value.code == "cluster_unauthenticated"
    assert head in refused.value.message


@pytest.mark.parametrize("head", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.OK], indirect=True)
def test_a_cluster_that_answers_anything_else_is_left_to_ray(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    start._require_no_token(head)


@pytest.mark.parametrize("head", [grpc.StatusCode.UNAUTHENTICATED], indirect=True)
def test_who_says_how_to_authenticate_is_not_asked_before(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    start._require_no_token(head)

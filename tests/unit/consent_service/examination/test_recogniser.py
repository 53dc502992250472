"""A speech recogniser over HTTP, asked for real: what it may answer, and what it never learns or lets out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from consent_service.errors import ExaminationUnavailable
from consent_service.examination.challenge.sentences import sentence
from consent_service.examination.config import RecogniserConfig
from consent_service.examination.recogniser import LONGEST_ANSWER, HttpRecogniser
from consent_service.examination.recordings import read_recording
from consent_service.examination.transcript import Asked
from tests.assets.voiced import voiced

SECRET = "marked-recogniser-secret"
NONCE = "river candle monday orange"
SAID = sentence("en", subject="Mary Exemplar", grantee="studio", purpose="narration", nonce=NONCE)
ASKED = Asked("en", "narration", NONCE, SAID)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A real HTTP server; `answer` says what it does with a request."""

    def __init__(self) -> None:
        self.answer: Answer = giving({"text": SAID})
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                outer.answer(self)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/audio/transcriptions"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def giving(body: Any, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(raw)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def ask(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("RECOGNISER_KEY", SECRET)

    def check(**changes: Any) -> Any:
        given = {"url": server.url, "api_key_env": "RECOGNISER_KEY", "timeout_s": 5.0, **changes}
        return HttpRecogniser(RecogniserConfig(**given)).check(ASKED, read_recording(voiced(4.0)))

    return check


def test_it_is_asked_in_the_shape_of_openai_and_what_it_heard_is_compared(
    server: Server, ask: Callable[..., Any]
) -> None:
    found = ask(model="local-asr")
    assert (found.evidence["outcome"], found.doubt) == ("spoken", "")
    assert found.evidence["check"] == "http local-asr"
    path, headers, body = server.requests[0]
    assert path == "/v1/audio/transcriptions"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    for part in (
        b'name="file"; filename="statement.wav"',
        b'name="model"',
        b"local-asr",
        b'name="language"',
        b"RIFF",
    ):
        assert part in body
    for personal in (b"Mary", b"studio", b"candle"):
        assert personal not in body, "what should be heard is not given away"
    assert "candle" not in json.dumps(dict(found.evidence)), "nor kept"


def test_another_text_is_left_to_the_reviewer_and_told_from_an_unclear_one(
    server: Server, ask: Callable[..., Any]
) -> None:
    for text, doubt in (
        ("the sun had not yet risen", "challenge_not_spoken"),
        ("the sun had not yet risen candle", "challenge_not_recognised"),
    ):
        server.answer = giving({"text": text})
        found = ask()
        assert (found.evidence["outcome"], found.doubt) == ("not recognised", doubt)


@pytest.mark.parametrize(
    "answer",
    [
        giving({"text": SAID}, 500),
        giving({"text": SAID}, 401),
        giving({"text": SAID}, 204),
        giving({"words": SAID}),
        giving({"text": None}),
        giving(["text"]),
        giving(b"not json"),
        giving({"text": "x" * LONGEST_ANSWER}),
    ],
)
def test_what_is_no_transcript_is_no_examination(
    server: Server, ask: Callable[..., Any], answer: Answer
) -> None:
    server.answer = answer
    with pytest.raises(ExaminationUnavailable) as error:
        ask()
    assert SECRET not in repr(error.value)
    assert error.value.__cause__ is None


def test_it_sends_the_recording_nowhere_else(server: Server, ask: Callable[..., Any]) -> None:
    elsewhere = Server()
    server.answer = giving(b"", 307, Location=elsewhere.url)
    with pytest.raises(ExaminationUnavailable, match="307"):
        ask()
    assert elsewhere.requests == []
    elsewhere.close()


def test_a_proxy_of_the_environment_is_not_asked(
    server: Server, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Server()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert ask().evidence["outcome"] == "spoken"
    assert proxy.requests == []
    proxy.close()


def test_an_answer_that_drips_is_not_waited_for(server: Server, ask: Callable[..., Any]) -> None:
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "60000")
        request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b" ")

    server.answer = drip
    with pytest.raises(ExaminationUnavailable):  # it would have dripped for an hour
        ask(timeout_s=0.5)
    stop.set()


def test_nobody_there_and_no_key_are_told_without_the_key(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExaminationUnavailable):
        ask(url="http://127.0.0.1:9/v1/audio/transcriptions")
    monkeypatch.setenv("RECOGNISER_KEY", "")
    with pytest.raises(ExaminationUnavailable, match="RECOGNISER_KEY"):
        ask()


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError):
        RecogniserConfig(url="file:///etc/passwd")

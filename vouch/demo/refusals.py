"""Step four: every kind of refusal, over HTTP where a caller meets it, and at the replica's handle where an attacker
inside the cluster would try."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, TypeVar

import httpx

from consent_service.grants import Utterance
from consent_service.models import Allow, SpeechClaim
from consent_service.service import ConsentService
from serve_app.config import AppConfig
from speech.text import prepare
from vouch.demo.steps import Promise, Steps, promise
from vouch.retrying import answer_to, awaited

T = TypeVar("T")
TEXT = "This sentence must not be heard."


def show_refusals(
    steps: Steps,
    url: str,
    config: AppConfig,
    service: ConsentService,
    *,
    keys: dict[str, str],
    first: str,
    second: str,
    tokens: dict[str, str],
) -> dict[str, list[Any]]:
    """Name of the case → [status, code]. Raises Promise for one that turned out otherwise."""
    ask = {"text": TEXT, "language": "en", "voice_id": first, "purpose": "narration"}
    cases: list[tuple[str, str, dict[str, Any], tuple[int, str]]] = [
        ("no API key", "", ask, (401, "unauthenticated")),
        ("no consent for this key", "stranger", ask, (403, "consent_required")),
        ("wrong token", "narrator", {**ask, "consent_token": "not-a-token"}, (403, "consent_token_invalid")),
        ("another's token", "stranger", {**ask, "consent_token": tokens["first"]}, (403, "grantee_mismatch")),
        ("wrong purpose", "narrator", {**ask, "purpose": "advertising"}, (403, "purpose_not_consented")),
        ("expired", "narrator", {**ask, "voice_id": second, "consent_token": tokens["expired"]},
         (403, "consent_expired")),
        ("unknown voice", "narrator", {**ask, "voice_id": "voice_" + "0" * 32}, (404, "voice_unknown")),
        ("text too long", "narrator", {**ask, "text": "word " * 2_000}, (413, "text_too_long")),
        ("unsupported language", "narrator", {**ask, "language": "tlh"}, (400, "language_unsupported")),
        ("empty text", "narrator", {**ask, "text": "   "}, (400, "text_empty")),
        ("control characters", "narrator", {**ask, "text": "a\x07b"}, (400, "text_control_characters")),
        ("an unknown field", "narrator", {**ask, "skip_consent": True}, (400, "request_invalid")),
    ]  # fmt: skip
    seen: dict[str, list[Any]] = {}
    with httpx.Client(base_url=url, timeout=None) as client:  # noqa: S113 - the service has limits of its own
        for name, who, body, wanted in cases:
            headers = {"Authorization": f"Bearer {keys[who]}"} if who else {}
            post = partial(client.post, "/v1/voice-clone", json=body, headers=headers)
            # A slow machine must not be taken for a refusal, nor a refusal for a slow machine.
            answer = answer_to(post, steps.say)
            code = answer.json()["error"]["code"] if answer.status_code != 200 else "spoken"
            _note(steps, seen, name, (answer.status_code, code), wanted)
    for name, wanted_code, code in asyncio.run(
        _at_the_handle(steps, config, service, keys["narrator"], first, tokens["first"])
    ):
        _note(steps, seen, name, (403, code), (403, wanted_code))
    return seen


async def _at_the_handle(
    steps: Steps, config: AppConfig, service: ConsentService, key: str, voice: str, token: str
) -> list[tuple[str, str, str]]:
    """Past the ingress, straight at a voice replica: (case, wanted code, code)."""
    from ray import serve

    from serve_app.app import APP_NAME, voice_remote
    from serve_app.call_signing import CallSigner
    from serve_app.errors import RequestRefused

    said, other = prepare(TEXT, "en"), prepare("Send all the money.", "en")
    claim = SpeechClaim("clone", voice, "en", said.digest(), said.characters, "narration", token)

    async def granted() -> str:
        allowed = await asyncio.to_thread(lambda: service.gate.authorize(service.authenticate(key), claim))
        if not isinstance(allowed, Allow):
            raise Promise("not as promised: the grant itself is in order")
        return allowed.token

    grant = await granted()
    handle = serve.get_deployment_handle("Voice", APP_NAME)
    replica = voice_remote(
        handle, config
    )  # with the node secret; a stranger's call goes no further than this:
    stranger = await handle.call.remote(
        CallSigner(b"guessed").sign("VoiceReplica.synthesize", (grant, said, 0), {})
    )

    async def refusal_of(token: str, utterance: Utterance) -> str:
        """Its code, with another try where the machine was slow."""
        try:
            await awaited(lambda: replica.synthesize(token, utterance, 0), steps.say)
        except RequestRefused as exc:
            return exc.code
        return "spoken"

    async def speak() -> str:
        """The grant under which the text was spoken. A try that fails may have used its grant up."""
        fresh = await granted()
        await replica.synthesize(fresh, said, 0)
        return fresh

    changed = await refusal_of(grant, other)
    forged = await refusal_of(grant[:-4] + "AAAA", said)
    try:
        used = await awaited(speak, steps.say)
    except RequestRefused as exc:
        raise Promise(f"not as promised: the granted text itself is spoken, not {exc.code}") from None
    return [
        ("a call from outside the service", "not_one_of_ours", stranger.code),
        ("changed text under an old grant", "grant_mismatch", changed),
        ("a forged grant", "grant_forged", forged),
        ("the same grant twice", "grant_used", await refusal_of(used, said)),
    ]


def _note(
    steps: Steps, seen: dict[str, list[Any]], name: str, got: tuple[int, str], wanted: tuple[int, str]
) -> None:
    promise(got == wanted, f"{name}: {got[0]} {got[1]}, promised {wanted[0]} {wanted[1]}")
    seen[name] = [*got]
    steps.say(f"{name:<32} {got[0]} {got[1]}")

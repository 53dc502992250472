"""What a caller of the HTTP interface waits for: latency and throughput, for clips that are made and clips that are
there already."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import quantiles

import httpx

from serve_app.config import AppConfig
from serve_app.runtime.start import running
from vouch.bench.figures import Figure
from vouch.bench.house import PURPOSE, temporary_house
from vouch.embedded_ray import patience
from vouch.output import Failed


@dataclass(slots=True)
class _Seen:
    waits_ms: list[float] = field(default_factory=list)
    clips: int = 0


def measure(url: str | None, api_key: str, seconds: float, *, clients: int) -> Iterator[Figure]:
    """Against a running service, or (url None) against one of its own on the embedded engine.

    Raises Failed with the service's own code when it refuses.
    """
    if url is not None:
        yield from _figures(url, api_key, seconds, clients)
        return
    with temporary_house() as house:
        config = AppConfig.local(house.config.data_dir, http={"port": 0})
        with patience(), running(config, drain=False) as app:
            yield from _figures(app.url, house.narrator_key, seconds, clients)


def _figures(url: str, api_key: str, seconds: float, clients: int) -> Iterator[Figure]:
    run, numbers = secrets.token_hex(4), itertools.count()
    cases: dict[str, Callable[[], str]] = {
        "new-clip": lambda: f"Run {run}, sentence number {next(numbers)}.",
        "same-clip": lambda: f"Run {run}, always the same sentence.",
    }
    for name, text in cases.items():
        began = time.perf_counter()
        seen = asyncio.run(_load(url, api_key, text, seconds / len(cases), clients))
        took = time.perf_counter() - began
        cuts = quantiles(seen.waits_ms, n=20, method="inclusive") if len(seen.waits_ms) > 1 else None
        p50, p95 = (cuts[9], cuts[18]) if cuts else (seen.waits_ms[0], seen.waits_ms[0])
        case = f"{name}-{clients}-clients"
        yield Figure("serve", f"{case}-p50", p50, "ms", less_is_better=True)
        yield Figure("serve", f"{case}-p95", p95, "ms", less_is_better=True)
        yield Figure("serve", f"{case}-throughput", seen.clips / took, "requests/s")


async def _load(url: str, api_key: str, text: Callable[[], str], seconds: float, clients: int) -> _Seen:
    seen = _Seen()
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        await _ask(http, text())  # the first opens the connection and warms the way
        until = time.perf_counter() + seconds

        async def client() -> None:
            while True:
                began = time.perf_counter()
                await _ask(http, text())
                seen.waits_ms.append(1e3 * (time.perf_counter() - began))
                seen.clips += 1
                if time.perf_counter() >= until:
                    return

        await asyncio.gather(*(client() for _ in range(clients)))
    return seen


async def _ask(http: httpx.AsyncClient, text: str) -> None:
    body = {"model": "any", "voice": "Vivian", "input": text, "language": "en", "purpose": PURPOSE}
    body["response_format"] = "wav"  # the encoders are measured by `bench stamp`
    try:
        answer = await http.post("/v1/audio/speech", json=body)
    except httpx.HTTPError as exc:
        raise Failed("service_unreachable", f"{http.base_url}: {type(exc).__name__}; is it up?") from None
    if answer.status_code != 200:
        is_ours = "json" in answer.headers.get("content-type", "")
        error = answer.json().get("error", {}) if is_ours else {}
        code = str(error.get("code") or "service_failed")
        raise Failed(code, f"HTTP {answer.status_code}: {error.get('message', 'no reason given')}")

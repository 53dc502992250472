"""What a route needs: the `ConsentApi`, and who is asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from consent_service.errors import Unauthenticated
from consent_service.http.consent_api import Caller as CallerValue
from consent_service.http.consent_api import ConsentApi


async def no_presets() -> Sequence[str]:
    """Where no engine runs, there is no preset speaker."""
    return ()


async def no_clip(caller: CallerValue, clip_id: str) -> bytes | None:
    """Where no clips are kept, none can be looked up."""
    return None


def peer(scope: Scope) -> str | None:
    """Who connects."""
    client = scope.get("client")
    return None if client is None else str(client[0])


@dataclass(frozen=True, slots=True)
class Surface:
    """Lives on `app.state.surface`: what the routes for voices, consents, audit and the person stand on.

    `presets`: the names of the preset speakers. `find_clip`: the file of a stored clip that the caller may have, or
    None. `address_of`: whose failures are counted together; None where it is not known who connects.
    """

    api: ConsentApi
    presets: Callable[[], Awaitable[Sequence[str]]] = no_presets
    find_clip: Callable[[CallerValue, str], Awaitable[bytes | None]] = no_clip
    address_of: Callable[[Scope], str | None] = peer


def _surface(request: Request) -> Surface:
    surface: Surface = request.app.state.surface
    return surface


In = Annotated[Surface, Depends(_surface)]


def _api(surface: In) -> ConsentApi:
    return surface.api


def _source(request: Request, surface: In) -> str | None:
    return surface.address_of(request.scope)


_scheme = HTTPBearer(
    auto_error=False,
    description="An API key (`vouch key create` makes one), or the key of a person's session.",
)

Api = Annotated[ConsentApi, Depends(_api)]
Source = Annotated[str | None, Depends(_source)]


def _optional_key(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]) -> str | None:
    return given.credentials.strip() or None if given is not None else None


OptionalKey = Annotated[str | None, Depends(_optional_key)]


def _key(key: OptionalKey) -> str:
    """Raises Unauthenticated."""
    if key is None:
        raise Unauthenticated("send an API key as 'Authorization: Bearer …'")
    return key


ApiKey = Annotated[str, Depends(_key)]


def _caller(api_key: ApiKey, source: Source) -> CallerValue:
    return CallerValue(api_key, source)


Caller = Annotated[CallerValue, Depends(_caller)]

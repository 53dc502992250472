"""The person whose voice it is: confirming a contact, signing in, and what is theirs.

Tokens come in the body of a POST: a link's token lies in its fragment, which no server and no mail scanner that merely
opens the page ever sends.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from consent_service.http.consent_api import ConsentApi
from consent_service.http.context import Api, Caller, Source
from consent_service.http.openapi import JSON_TEXT
from consent_service.http.schemas import ContactAnswer, LinkBody, ReasonBody, SignInBody, WithdrawBody
from consent_service.models import Consent, Revocation, Session, Uses, Voice

router = APIRouter(prefix="/v1/subject", tags=["the person whose voice it is"])
log = logging.getLogger("vouch.consent")


@router.post("/contact")
async def confirm_contact(body: LinkBody, api: Api, source: Source) -> ContactAnswer:
    """Use a link that confirms a contact, or agrees to another. No key needed."""
    return ContactAnswer(state=(await api.confirm_contact(body.token, source)).value)


@router.post("/links", status_code=202)
async def request_sign_in(
    body: SignInBody, api: Api, source: Source, later: BackgroundTasks
) -> dict[str, str]:
    """Ask for a sign-in link. The same answer, at once, whether the contact is known or not. No key needed."""
    await api.limit_messages(source)
    later.add_task(_send, api, body)
    return {"status": "if this contact is known, a link is on its way"}


async def _send(api: ConsentApi, body: SignInBody) -> None:
    try:
        await api.send_sign_in_link(body.tenant, body.contact)
    except Exception as exc:  # noqa: BLE001 - there is nobody left to tell, and its words may name the contact
        code = getattr(exc, "code", type(exc).__name__)
        log.error("a sign-in link was not sent [%s]", code)  # noqa: TRY400


@router.post("/sign-in")
async def sign_in(body: LinkBody, api: Api, source: Source) -> Session:
    """Use a sign-in link up. The answer: an hour's key, for what follows. No key needed."""
    return await api.sign_in(body.token, source)


@router.post("/sign-out", status_code=204)
async def sign_out(api: Api, caller: Caller) -> None:
    """End the session."""
    await api.sign_out(caller)


@router.get("/voices")
async def own_voices(api: Api, caller: Caller) -> list[Voice]:
    """The person's own voices."""
    return await api.own_voices(caller)


@router.get("/consents")
async def own_consents(api: Api, caller: Caller) -> list[Consent]:
    """Every consent for them."""
    return await api.own_consents(caller)


@router.get("/uses")
async def own_uses(
    api: Api, caller: Caller, after: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Uses:
    """Every time one of them spoke, latest first."""
    return await api.own_uses(caller, after=after, limit=limit)


@router.get("/consents/{consent_id}/receipt", response_class=Response, responses=JSON_TEXT)
async def own_receipt(consent_id: str, api: Api, caller: Caller) -> Response:
    """The signed receipt, as it was signed."""
    return Response(await api.own_receipt(caller, consent_id), media_type="application/json")


@router.post("/consents/{consent_id}/revoke")
async def revoke_own_consent(consent_id: str, body: WithdrawBody, api: Api, caller: Caller) -> Revocation:
    """Withdraw. Immediate and irreversible; no reason is asked for."""
    return await api.revoke_own_consent(caller, consent_id, body.reason)


@router.post("/voices/{voice_id}/decommission")
async def decommission_own_voice(voice_id: str, body: ReasonBody, api: Api, caller: Caller) -> Voice:
    """Have the voice deleted: irreversible, and nobody else is asked."""
    return await api.decommission_own_voice(caller, voice_id, body.reason)


@router.get("/voices/{voice_id}/certificate", response_class=Response, responses=JSON_TEXT)
async def own_certificate(voice_id: str, api: Api, caller: Caller) -> Response:
    """The signed certificate of the deletion. Fetch it now: the contact is deleted too."""
    return Response(await api.own_certificate(caller, voice_id), media_type="application/json")

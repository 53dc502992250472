"""The person whose voice it is: confirming a contact, signing in, and what is theirs.

Tokens come in the body of a POST: a link's token lies in its fragment, which no server and no mail scanner that merely
opens the page ever sends.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from consent_service.http.caller import Caller, Service, Source
from consent_service.http.schemas import ContactAnswer, LinkBody, ReasonBody, SignInBody, WithdrawBody
from consent_service.models import Consent, Revocation, Session, Uses, Voice
from consent_service.service import ConsentService
from foundation.errors import CodedError

router = APIRouter(prefix="/v1/subject", tags=["the person whose voice it is"])
log = logging.getLogger("vouch.consent")


@router.post("/contact")
def confirm_contact(body: LinkBody, service: Service, source: Source) -> ContactAnswer:
    """Use a link that confirms a contact, or agrees to another. No key needed."""
    return ContactAnswer(state=service.self_service.confirm_contact(body.token, source=source).value)


@router.post("/links", status_code=202)
def request_sign_in(
    body: SignInBody, service: Service, source: Source, later: BackgroundTasks
) -> dict[str, str]:
    """Ask for a sign-in link. The same answer, at once, whether the contact is known or not. No key needed."""
    service.self_service.limit_messages(source)
    later.add_task(_send, service, body)
    return {"status": "if this contact is known, a link is on its way"}


def _send(service: ConsentService, body: SignInBody) -> None:
    try:
        service.self_service.send_sign_in_link(body.tenant, body.contact)
    except CodedError as exc:  # there is nobody left to tell
        log.error("a sign-in link was not sent [%s]", exc.code)  # noqa: TRY400 - the traceback may name it


@router.post("/sign-in")
def sign_in(body: LinkBody, service: Service, source: Source) -> Session:
    """Use a sign-in link up. The answer: an hour's key, for what follows. No key needed."""
    return service.self_service.sign_in(body.token, source=source)


@router.post("/sign-out", status_code=204)
def sign_out(service: Service, by: Caller) -> None:
    """End the session."""
    service.self_service.sign_out(by)


@router.get("/voices")
def own_voices(service: Service, by: Caller) -> list[Voice]:
    """The person's own voices."""
    return service.self_service.own_voices(by)


@router.get("/consents")
def own_consents(service: Service, by: Caller) -> list[Consent]:
    """Every consent for them."""
    return service.self_service.own_consents(by)


@router.get("/uses")
def own_uses(
    service: Service, by: Caller, after: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Uses:
    """Every time one of them spoke, latest first."""
    return service.self_service.own_uses(by, after=after, limit=limit)


@router.get("/consents/{consent_id}/receipt", response_class=Response)
def own_receipt(consent_id: str, service: Service, by: Caller) -> Response:
    """The signed receipt, as it was signed."""
    return Response(service.self_service.own_receipt(by, consent_id), media_type="application/json")


@router.post("/consents/{consent_id}/revoke")
def revoke_own_consent(consent_id: str, body: WithdrawBody, service: Service, by: Caller) -> Revocation:
    """Withdraw. Immediate and irreversible; no reason is asked for."""
    return service.self_service.revoke_own_consent(by, consent_id, body.reason)


@router.post("/voices/{voice_id}/decommission")
def decommission_own_voice(voice_id: str, body: ReasonBody, service: Service, by: Caller) -> Voice:
    """Have the voice deleted: irreversible, and nobody else is asked."""
    return service.self_service.decommission_own_voice(by, voice_id, body.reason)


@router.get("/voices/{voice_id}/certificate", response_class=Response)
def own_certificate(voice_id: str, service: Service, by: Caller) -> Response:
    """The signed certificate of the deletion. Fetch it now: the contact is deleted too."""
    return Response(service.self_service.own_certificate(by, voice_id), media_type="application/json")

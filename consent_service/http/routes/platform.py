"""The way of a clip on a platform with a synthesis of its own: decision, redemption, register; and the feed that says
what no longer stands. Only the consent service on its own serves these: in `vouch up` the deployments do the same among
themselves, over signed calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from consent_service.gate.follower import RevocationFollower
from consent_service.http.consent_api import Caller as CallerValue
from consent_service.http.context import Api, Caller
from consent_service.http.metrics import ApiMetrics
from consent_service.http.routes.audit import Index
from consent_service.http.schemas import (
    ClipAnswer,
    ClipBody,
    CloseBody,
    DecideBody,
    Decision,
    Decisions,
    DesignBody,
    LogLeaf,
    RedeemBody,
    RedeemedAnswer,
    ReleasedClip,
    ReplicaBody,
    ReuseBody,
    SealedKey,
    StandingAnswer,
    base64_of,
)
from consent_service.models import Principal, Revocation
from consent_service.service import ConsentService

router = APIRouter(prefix="/v1", tags=["clips"])


@dataclass(frozen=True, slots=True)
class Platform:
    """Lives on `app.state.platform`."""

    service: ConsentService
    metrics: ApiMetrics
    follower: RevocationFollower


def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


Ctx = Annotated[Platform, Depends(_platform)]


def _service(ctx: Ctx) -> ConsentService:
    return ctx.service


Service = Annotated[ConsentService, Depends(_service)]


def _principal(service: Service, caller: Caller) -> Principal:
    """Raises Unauthenticated or RateLimited."""
    return service.authenticate(caller.api_key, source=caller.source)


By = Annotated[Principal, Depends(_principal)]


@router.post("/decisions")
def decide(body: DecideBody, ctx: Ctx, by: By) -> Decisions:
    """May this be spoken? A grant for each claim that may, a reason for each that may not. Needs `narrator`, `job`."""
    verdicts = ctx.service.gate.authorize_many(by, [claim.to_claim() for claim in body.claims])
    ctx.metrics.decided(verdicts)
    return Decisions(decisions=[Decision.of(verdict) for verdict in verdicts])


@router.post("/grants/redeem")
def redeem(body: RedeemBody, ctx: Ctx, by: By) -> RedeemedAnswer:
    """Use a grant up. The reference comes sealed to the replica's key. Needs `gate` or `replica`."""
    redeemed = ctx.service.platform.redeem(by, body.token, body.replica_id)
    ctx.metrics.redeemed("spoken")
    return RedeemedAnswer.of(redeemed)


@router.post("/grants/reuse")
def redeem_cached(body: ReuseBody, ctx: Ctx, by: By) -> RedeemedAnswer:
    """Use a grant up for a clip that is there already. Needs `gate` or `replica`."""
    redeemed = ctx.service.platform.redeem_cached(by, body.token, body.clip_id)
    ctx.metrics.redeemed("reused")
    return RedeemedAnswer.of(redeemed)


@router.post("/grants/{grant_id}/close")
def close_clip(grant_id: str, body: CloseBody, service: Service, by: By) -> LogLeaf:
    """The second audit record. Idempotent. Needs `gate` or `stamper`."""
    return LogLeaf(leaf=service.platform.close_clip(by, grant_id, body.to_closing()))


@router.post("/grants/{grant_id}/design", status_code=204)
def report_design(grant_id: str, body: DesignBody, service: Service, by: By) -> None:
    """The replica that redeemed a grant answers for the one-off design that came of it. Needs `gate` or `replica`."""
    service.platform.report_design(by, grant_id, body.replica_id, body.proof, body.audio_sha256)


@router.put("/replicas/{replica_id}")
def register_replica(replica_id: str, body: ReplicaBody, service: Service, by: By) -> dict[str, str]:
    """Register a replica's key, on the proof of the node secret. The answer: the grants' public keys (Ed25519, base64)
    by key id. Needs `replica`."""
    keys = service.platform.register_replica(by, replica_id, body.public_key, body.proof)
    return {kid: base64_of(key) for kid, key in keys.items()}


@router.get("/replicas/{replica_id}/watermark-keys/{epoch}")
def watermark_key(replica_id: str, epoch: int, service: Service, by: By) -> SealedKey:
    """The keyed watermark's key of an epoch, sealed to the replica. Needs `replica`."""
    return SealedKey(sealed=base64_of(service.platform.watermark_key(by, replica_id, epoch)))


@router.get("/revocations")
async def revocations(
    ctx: Ctx, by: By, after: Index = 0, wait_s: Annotated[float, Query(ge=0, le=20)] = 0.0
) -> list[Revocation]:
    """What was withdrawn since `after`, oldest first; waits up to `wait_s` for something to come. Needs `gate` or
    `replica`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        seen = ctx.follower.head  # a look of its own follows: the news may be another tenant's
        events = await run_in_threadpool(ctx.service.platform.revocations, by, after)
        if events or (left := until - loop.time()) <= 0:
            return events
        await ctx.follower.has_news(seen, left)


@router.put("/clips/{clip_id}", status_code=204)
def register_clip(clip_id: str, body: ClipBody, service: Service, by: By) -> None:
    """Add digest, length and copies to a clip's record. Needs `stamper`."""
    record = service.platform.find_clip(by, clip_id)
    finished = replace(
        record, audio_sha256=body.audio_sha256, seconds=body.seconds, objects=tuple(body.objects),
        fingerprint=body.fingerprint,
    )  # fmt: skip
    service.platform.register_clip(by, finished)


async def _record(clip_id: str, api: Api, caller: CallerValue) -> ClipAnswer:
    record, standing = await api.clip_record(caller, clip_id)
    return ClipAnswer.of(record, standing)


@router.get("/clips/{clip_id}/record")
async def clip_record(clip_id: str, api: Api, caller: Caller) -> ClipAnswer:
    """What the register holds of a clip within the key's reach, and whether its consent stands; also for withdrawn
    clips. Needs `narrator`, `job`, `auditor` or `voice_admin`."""
    return await _record(clip_id, api, caller)


@router.get("/clips/{clip_id}", deprecated=True)
async def show_clip(clip_id: str, api: Api, caller: Caller) -> ClipAnswer:
    """The same under its earlier name. Use `/record`: where clips are kept, this path is the clip itself."""
    return await _record(clip_id, api, caller)


@router.post("/clips/{clip_id}/release")
def release_clip(clip_id: str, service: Service, by: By) -> ReleasedClip:
    """Before a stored clip goes out once more: audited, either way."""
    return ReleasedClip.of(service.clips.release(by, clip_id))


@router.get("/clips/{clip_id}/standing")
def standing(
    clip_id: str,
    service: Service,
    by: By,
    consent_id: str | None = None,
    consent_version: int | None = None,
) -> StandingAnswer:
    """Whether what a clip says of itself still stands. Needs `gate` or `stamper`."""
    found, as_of = service.platform.standing(by, clip_id, consent_id, consent_version)
    return StandingAnswer(standing=found.value, as_of=as_of)

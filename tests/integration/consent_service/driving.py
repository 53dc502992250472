"""A process of the state machine: it does what it is told, on a connection of its own, and tells what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

from consent_service.config import ConsentConfig
from consent_service.errors import Conflict, ConsentError, GrantUsed, LedgerUnavailable
from consent_service.models import Allow, Closing, Redeemed, SpeechClaim
from tests.assets.installation import Installation, Tenant, digest
from tests.assets.voiced import voiced

Step = tuple[str, int, int]  # what, about which, how much
CHARACTERS = 40
SPOKEN = voiced(3.5)


@dataclass(frozen=True)
class Consented:
    """A consent that a process may speak under."""

    consent_id: str
    voice_id: str
    token: str


@dataclass(frozen=True)
class Known:
    """What every process is told before a burst."""

    consents: Sequence[Consented]
    grants: Sequence[str]


@dataclass
class Told:
    """What a burst came to in one process."""

    decisions: int = 0
    allowed: list[str] = field(default_factory=list)
    redeemed: list[tuple[str, int]] = field(default_factory=list)  # grant, leaf
    unknown: int = 0  # the ledger did not answer
    consents: list[Consented] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # consents


class SharedClock:
    """One time for all processes."""

    def __init__(self, now: Synchronized[float]) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now.value

    @property
    def now(self) -> float:
        return self._now.value


@dataclass(frozen=True)
class Opening:
    """How another process opens the controller's world."""

    config: ConsentConfig
    keys: Mapping[str, str]


def drive(now: Synchronized[float], line: Connection) -> None:
    """Serve one controller until it hangs up."""
    world: Tenant | None = None
    while True:
        try:
            command = line.recv()
        except (EOFError, ConnectionError):
            break
        if isinstance(command, Opening):
            if world is not None:
                world.service.close()
            installation = Installation.create(command.config, clock=SharedClock(now))
            world = Tenant(installation, "acme", command.keys)
            line.send("open")
        else:
            known, script = command
            assert world is not None
            try:
                line.send(_run(world, known, script))
            except Exception as exc:
                line.send(exc)
    if world is not None:
        world.service.close()


def _run(world: Tenant, known: Known, script: Sequence[Step]) -> Told:
    told = Told()
    for name, which, amount in script:
        try:
            _STEPS[name](world, known, told, which, amount)
        except LedgerUnavailable:
            told.unknown += 1
        except ConsentError:
            pass  # refused, as it may well be
    return told


def authorize(world: Tenant, known: Known, told: Told, which: int, rows: int) -> None:
    consent = known.consents[which % len(known.consents)]
    claims = [
        SpeechClaim(
            "clone", consent.voice_id, "en", digest(f"{which} {row}"), CHARACTERS, "narration", consent.token
        )
        for row in range(rows)
    ]
    decisions = world.service.gate.authorize_many(world.narrator, claims)
    told.decisions += len(decisions)
    # A few of them are handed out, to be redeemed by anyone.
    told.allowed += [each.token for each in decisions if isinstance(each, Allow)][:6]


def redeem(world: Tenant, known: Known, told: Told, start: int, count: int) -> None:
    grants = _pick((*known.grants, *told.allowed), start, count // 5 + 1)
    for outcome in world.service.gate._redeemer.redeem_many(grants, "acme-replica"):
        if isinstance(outcome, Redeemed):
            told.redeemed.append((outcome.grant.grant_id, outcome.audit_leaf))
        elif isinstance(outcome, LedgerUnavailable):
            told.unknown += 1


def redeem_one(world: Tenant, known: Known, told: Told, start: int, _: int) -> None:
    for grant in _pick((*known.grants, *told.allowed), start, 1):
        redeemed = world.service.gate.redeem(grant, "acme-replica")
        told.redeemed.append((redeemed.grant.grant_id, redeemed.audit_leaf))
        world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, digest(grant)))
        try:
            world.service.gate.redeem(grant, "acme-replica")
        except (GrantUsed, LedgerUnavailable):
            return
        raise AssertionError("a grant was redeemed twice")


def record(world: Tenant, known: Known, told: Told, which: int, terms: int) -> None:
    voice_id = known.consents[which % len(known.consents)].voice_id
    _state(world, voice_id)
    lasts_s, budget = (15.0, 60.0, 86_400.0)[terms % 3], (None, 400, 4_000)[terms // 3 % 3]
    agreed = world.terms(valid_until=world.clock() + lasts_s, character_budget=budget)
    recorded = world.service.consents.record(world.admin, voice_id=voice_id, terms=agreed)
    told.consents.append(Consented(recorded.consent.consent_id, voice_id, recorded.consent_token))


def _state(world: Tenant, voice_id: str) -> None:
    """A further statement: a withdrawal took back those before it. Another process may be about the same."""
    with suppress(Conflict):
        asked = world.service.voices.begin_statement(
            world.admin, voice_id, grantee="studio", purpose="narration"
        )
        world.service.voices.complete_statement(world.admin, asked.enrolment_id, statement=SPOKEN)
    with suppress(Conflict):
        world.service.voices.review(world.reviewer, voice_id, approve=True)


def narrow(world: Tenant, known: Known, told: Told, which: int, amount: int) -> None:
    before = known.consents[which % len(known.consents)]
    after = world.service.consents.narrow(world.admin, before.consent_id, character_budget=100 + 30 * amount)
    told.ended.append(before.consent_id)  # its token, at least
    told.consents.append(Consented(before.consent_id, before.voice_id, after.consent_token))


def revoke(world: Tenant, known: Known, told: Told, which: int, _: int) -> None:
    consent = known.consents[which % len(known.consents)]
    world.service.consents.revoke(world.admin, consent.consent_id, "no more")
    told.ended.append(consent.consent_id)


def decommission(world: Tenant, known: Known, told: Told, which: int, _: int) -> None:
    voice_id = known.consents[which % len(known.consents)].voice_id
    world.service.deletion.decommission(world.admin, voice_id, "the end")
    told.ended += [each.consent_id for each in known.consents if each.voice_id == voice_id]


def enrol(world: Tenant, known: Known, told: Told, _which: int, _amount: int) -> None:
    voice = world.enrol()
    recorded = world.record(voice)
    told.consents.append(Consented(recorded.consent.consent_id, voice.voice_id, recorded.consent_token))


_STEPS = {
    each.__name__: each
    for each in (authorize, redeem, redeem_one, record, narrow, revoke, decommission, enrol)
}


def _pick(grants: Sequence[str], start: int, count: int) -> list[str]:
    if not grants:
        return []
    at = start % len(grants)
    return list((*grants[at:], *grants[:at])[:count])

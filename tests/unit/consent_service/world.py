"""A small installation to test against: one tenant, an approved voice, a consent, a replica. No mocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consent_service.config import ConsentConfig
from consent_service.examination.config import ExaminationConfig
from consent_service.ledger.tables import metadata
from consent_service.models import (
    Allow,
    Claims,
    ConsentTerms,
    Principal,
    RecordedConsent,
    Redeemed,
    Role,
    SpeechClaim,
    Voice,
)
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey, load_node_secret
from tests.assets.voiced import voiced as tone

__all__ = ["DAY", "START", "UNEXAMINED", "Clock", "World", "digest", "open_world", "sqlite_only", "tone"]

START = 1_800_000_000.0
DAY = 86_400.0

# Computed recordings have no speaker, and an examiner's process takes seconds to start: a reviewer decides.
UNEXAMINED = ExaminationConfig(speaker="none", marks="none")

# For tests of the files that SQLite keeps: they run once, whatever the `world` fixture is parametrised with.
sqlite_only = pytest.mark.parametrize("world", ["sqlite"], indirect=True)


@dataclass
class Clock:
    """The service's idea of now."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """Handles to everything a test speaks of."""

    service: ConsentService
    clock: Clock
    config: ConsentConfig  # opens the same installation in another process
    admin: Principal  # operator and voice_admin
    reviewer: Principal
    narrator: Principal
    auditor: Principal
    enroller: (
        Principal  # in profile local the admin; in a cluster, a key that the reviewer's does not depend on
    )
    voice: Voice = field(init=False)
    consent: RecordedConsent = field(init=False)
    replica: ReplicaKey = field(init=False)

    @property
    def data_dir(self) -> Path:
        return self.config.data_dir

    @property
    def consent_id(self) -> str:
        return self.consent.consent.consent_id

    def key(self, *roles: Role, grantee: str = "studio", **claims: tuple[str, ...]) -> Principal:
        token = self.service.tenants.create_key(
            self.admin, grantee=grantee, roles=roles, claims=Claims(**claims)
        )
        return self.service.authenticate(token)

    def enrol(self, name: str = "A voice", hertz: float = 180.0) -> Voice:
        challenge = self.service.voices.begin_enrolment(
            self.enroller,
            name=name,
            language="en",
            grantee="studio",
            purpose="narration",
            subject_name="A Person",
        )
        self.service.voices.complete_enrolment(
            self.enroller,
            challenge.enrolment_id,
            reference=tone(4.0, hertz=hertz),
            transcript="what is said in the sample",
            statement=tone(3.5, hertz=hertz + 1),
        )
        return self.service.voices.review(self.reviewer, challenge.voice_id, approve=True)

    def terms(self, **changes: object) -> ConsentTerms:
        usual = ConsentTerms(
            grantee="studio",
            purposes=("narration",),
            languages=("en", "de"),
            valid_from=self.clock.now - DAY,
            valid_until=self.clock.now + 30 * DAY,
        )
        return replace(usual, **changes)  # type: ignore[arg-type]

    def record(self, voice: Voice | None = None, **changes: object) -> RecordedConsent:
        voice_id = (voice or self.voice).voice_id
        return self.service.consents.record(self.admin, voice_id=voice_id, terms=self.terms(**changes))

    def claim(self, text: str = "hello", **changes: object) -> SpeechClaim:
        usual = SpeechClaim("clone", self.voice.voice_id, "en", digest(text), len(text), purpose="narration")
        return replace(usual, **changes)  # type: ignore[arg-type]

    def allow(self, text: str = "hello", **changes: object) -> Allow:
        decision = self.service.gate.authorize(self.narrator, self.claim(text, **changes))
        assert isinstance(decision, Allow), decision
        return decision

    def redeem_many(self, tokens: Sequence[str]) -> list[Redeemed | Exception]:
        """As a job will: in one transaction."""
        return self.service.gate._redeemer.redeem_many(tokens, self.replica.replica_id)

    def register(self, replica_id: str) -> ReplicaKey:
        key = ReplicaKey(replica_id)
        self.service.gate.register_replica(
            replica_id, key.public_bytes, key.proof(load_node_secret(self.data_dir))
        )
        return key

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the ledger's database itself answers, whichever it is."""
        with self.service._core.ledger.read() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def dump(self) -> str:
        """Every row of every table, readable."""
        return "\n".join(str(row) for table in metadata.tables for row in self.rows(f"SELECT * FROM {table}"))

    def log(self) -> list[dict[str, object]]:
        """Every entry of the tenant's log."""
        return [json.loads(entry) for entry in self.service.log.entries(self.auditor)]

    def kinds(self) -> list[str]:
        return [str(entry["kind"]) for entry in self.log()]


def open_world(
    data_dir: Path,
    tenant: str = "acme",
    service: ConsentService | None = None,
    *,
    ledger_url: str | None = None,
    examination: ExaminationConfig = UNEXAMINED,
) -> World:
    """A new installation (on SQLite where no URL is given), or one more tenant of the installation of `service`."""
    clock = Clock() if service is None else service._core.clock  # type: ignore[assignment]
    if service is None:
        config = ConsentConfig(data_dir=data_dir, ledger_url=ledger_url, examination=examination)
        service = ConsentService.open(config, clock=clock)
    admin = service.authenticate(service.tenants.bootstrap(tenant))

    def key(role: Role, claims: Claims) -> Principal:
        return service.authenticate(
            service.tenants.create_key(admin, grantee="studio", roles=[role], claims=claims)
        )

    world = World(
        service,
        clock,  # type: ignore[arg-type]
        service._core.config,
        admin,
        key(Role.REVIEWER, Claims()),
        key(Role.NARRATOR, Claims(purposes=("narration",), voices=("*",))),
        key(Role.AUDITOR, Claims()),
        key(Role.VOICE_ADMIN, Claims()) if service._core.config.review_independent else admin,
    )
    world.voice = world.enrol()
    world.consent = world.record()
    service.tenants.bind_consent(admin, world.narrator.key_id, world.consent_id)
    world.replica = world.register(f"{tenant}-replica")
    return world

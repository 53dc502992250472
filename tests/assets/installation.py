"""Installations to test against: a ledger, its keys and its vault, with a voice that was enrolled, reviewed and
consented to. No mocks: what a test moves is the clock.

Enrolling takes a quarter of a second, so one installation is built in each test session and copied for each test: the
folder, and on PostgreSQL the database. Copies share ids and keys; a test that compares two installations builds the
second with `Installation.create`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from sqlalchemy import text

from consent_service.config import ConsentConfig
from consent_service.core import Core
from consent_service.examination.config import ExaminationConfig
from consent_service.ledger.engine import Ledger
from consent_service.ledger.tables import metadata
from consent_service.models import (
    Allow,
    Claims,
    ConsentTerms,
    EnrolmentAnswer,
    Principal,
    RecordedConsent,
    Redeemed,
    Role,
    SpeechClaim,
    Voice,
)
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey, load_node_secret
from consent_service.vault.vault import Vault
from tests.assets.databases import drop, new_postgresql
from tests.assets.voiced import voiced

__all__ = ["DAY", "START", "UNEXAMINED", "Clock", "Installation", "Template", "Tenant", "digest"]

START: Final = 1_800_000_000.0
DAY: Final = 86_400.0

# Computed recordings have no speaker, and an examiner's process takes seconds to start: a reviewer decides.
UNEXAMINED: Final = ExaminationConfig(speaker="none", marks="none")


@dataclass
class Clock:
    """A clock that tests move."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Installation:
    """One open installation. `config` opens the same one in another process."""

    service: ConsentService
    clock: Callable[[], float]

    @classmethod
    def create(
        cls, config: ConsentConfig | Path, *, clock: Callable[[], float] | None = None, **more: Any
    ) -> Installation:
        """A new one, or an existing one opened again. A path: the data folder of one that examines nothing."""
        if isinstance(config, Path):
            config = ConsentConfig(data_dir=config, examination=UNEXAMINED)
        clock = clock or Clock()
        return cls(ConsentService.open(config, clock=clock, **more), clock)

    # What the service keeps to itself. Tests reach it here and nowhere else.
    @property
    def core(self) -> Core:
        return self.service._core

    @property
    def config(self) -> ConsentConfig:
        return self.core.config

    @property
    def ledger(self) -> Ledger:
        return self.core.ledger

    @property
    def vault(self) -> Vault:
        return self.core.vault

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the ledger's database itself answers, whichever it is."""
        with self.ledger.read() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def dump(self) -> str:
        """Every row of every table, readable."""
        return "\n".join(str(row) for table in metadata.tables for row in self.rows(f"SELECT * FROM {table}"))

    def tenant(self, name: str = "acme") -> Tenant:
        """A new tenant: a key for each role, a voice under a consent that the narrator's key is bound to, a replica."""
        tenant = Tenant(self, name)
        tenant.voice = tenant.enrol()
        tenant.consent = tenant.record()
        self.service.tenants.bind_consent(tenant.admin, tenant.narrator.key_id, tenant.consent_id)
        tenant.replica = tenant.register(f"{name}-replica")
        return tenant

    def close(self) -> None:
        self.service.close()


class Tenant:
    """One tenant of an installation, and the persons and programs that act in it."""

    voice: Voice
    consent: RecordedConsent
    replica: ReplicaKey
    grantee: ClassVar[str] = "studio"
    # What every key of the tenant may claim, unless a test says otherwise; the narrator's may claim this at least.
    usual_claims: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    narrators_claims: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"purposes": ("narration",), "voices": ("*",)}
    )

    def __init__(self, installation: Installation, name: str, keys: Mapping[str, str] | None = None) -> None:
        """A new tenant of that name; with the keys of one that exists, that one."""
        self.installation = installation
        self.name = name
        self.keys = dict(keys) if keys else self._new_keys()
        self.admin = self.by("admin")  # operator and voice_admin
        self.reviewer, self.narrator = self.by("reviewer"), self.by("narrator")
        self.auditor, self.enroller = self.by("auditor"), self.by("enroller")

    def _new_keys(self) -> dict[str, str]:
        """API keys by role. The enroller is the admin, unless the reviewer's key may not depend on the enroller's."""
        keys = {"admin": self.service.tenants.bootstrap(self.name)}
        self.admin = self.service.authenticate(keys["admin"])
        keys["reviewer"] = self.api_key(Role.REVIEWER)
        keys["narrator"] = self.api_key(Role.NARRATOR, **{**self.narrators_claims, **self.usual_claims})
        keys["auditor"] = self.api_key(Role.AUDITOR)
        keys["enroller"] = self.api_key(Role.VOICE_ADMIN) if self.config.review_independent else keys["admin"]
        return keys

    def by(self, role: str) -> Principal:
        """Who acts in `role`, as the ledger knows them now."""
        return self.service.authenticate(self.keys[role])

    # the installation -------------------------------------------------------------------------------------
    @property
    def service(self) -> ConsentService:
        return self.installation.service

    @property
    def core(self) -> Core:
        return self.installation.core

    @property
    def clock(self) -> Clock:
        return cast(Clock, self.installation.clock)

    @property
    def config(self) -> ConsentConfig:
        return self.installation.config

    @property
    def data_dir(self) -> Path:
        return self.config.data_dir

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.installation.rows(query)

    def dump(self) -> str:
        return self.installation.dump()

    # keys -------------------------------------------------------------------------------------------------
    def api_key(self, *roles: Role, grantee: str | None = None, **claims: tuple[str, ...]) -> str:
        """A new API key of the tenant."""
        return self.service.tenants.create_key(
            self.admin,
            grantee=grantee or self.grantee,
            roles=roles,
            claims=Claims(**{**self.usual_claims, **claims}),
        )

    def key(self, *roles: Role, grantee: str | None = None, **claims: tuple[str, ...]) -> Principal:
        """The holder of a new API key."""
        return self.service.authenticate(self.api_key(*roles, grantee=grantee, **claims))

    def register(self, replica_id: str) -> ReplicaKey:
        key = ReplicaKey(replica_id)
        self.service.gate.register_replica(
            replica_id, key.public_bytes, key.proof(load_node_secret(self.data_dir))
        )
        return key

    # voices and consents ----------------------------------------------------------------------------------
    @property
    def consent_id(self) -> str:
        return self.consent.consent.consent_id

    def enrol(self, name: str = "A voice", hertz: float = 180.0) -> Voice:
        """A voice that was enrolled with a statement for narration by the grantee, and reviewed."""
        challenge = self.service.voices.begin_enrolment(
            self.enroller,
            name=name,
            language="en",
            grantee=self.grantee,
            purpose="narration",
            subject_name="A Person",
        )
        self.service.voices.complete_enrolment(
            self.enroller,
            challenge.enrolment_id,
            EnrolmentAnswer(
                reference=voiced(4.0, hertz=hertz),
                transcript="what is said in the sample",
                statement=voiced(3.5, hertz=hertz + 1),
            ),
        )
        return self.service.voices.review(self.reviewer, challenge.voice_id, approve=True)

    def state(self, voice_id: str, *purposes: str, grantee: str | None = None, hertz: float = 180.0) -> None:
        """Further statements, for purposes or a grantee that the enrolment does not cover."""
        for purpose in purposes:
            challenge = self.service.voices.begin_statement(
                self.enroller, voice_id, grantee=grantee or self.grantee, purpose=purpose
            )
            self.service.voices.complete_statement(
                self.enroller, challenge.enrolment_id, statement=voiced(3.5, hertz=hertz + 2)
            )
            self.service.voices.review(self.reviewer, voice_id, approve=True)

    def terms(self, **changes: Any) -> ConsentTerms:
        now = self.installation.clock()
        usual = ConsentTerms(
            grantee=self.grantee,
            purposes=("narration",),
            languages=("en", "de"),
            valid_from=now - DAY,
            valid_until=now + 30 * DAY,
        )
        return replace(usual, **changes)

    def record(self, voice: Voice | None = None, **changes: Any) -> RecordedConsent:
        voice_id = (voice or self.voice).voice_id
        return self.service.consents.record(self.admin, voice_id=voice_id, terms=self.terms(**changes))

    def revoke(self, consent_id: str | None = None) -> None:
        """A consent ends; which one, where it is not `self.consent`."""
        self.service.consents.revoke(self.admin, consent_id or self.consent_id, "withdrawn")

    # speech -----------------------------------------------------------------------------------------------
    def claim(self, text: str = "hello", **changes: Any) -> SpeechClaim:
        usual = SpeechClaim("clone", self.voice.voice_id, "en", digest(text), len(text), purpose="narration")
        return replace(usual, **changes)

    def allow(self, text: str = "hello", **changes: Any) -> Allow:
        decision = self.service.gate.authorize(self.narrator, self.claim(text, **changes))
        assert isinstance(decision, Allow), decision
        return decision

    def redeem_many(self, tokens: Sequence[str]) -> list[Redeemed | Exception]:
        """As a job will: in one transaction."""
        return self.service.gate._redeemer.redeem_many(tokens, self.replica.replica_id)

    # audit ------------------------------------------------------------------------------------------------
    def log(self) -> list[dict[str, Any]]:
        """Every entry of the tenant's audit log, oldest first."""
        return [json.loads(entry) for entry in self.service.log.entries(self.auditor)]

    def kinds(self) -> list[str]:
        return [str(entry["kind"]) for entry in self.log()]


T = TypeVar("T", bound=Tenant)


class Template(Generic[T]):
    """An installation with one tenant that is copied for each test: its folder, and its database on PostgreSQL."""

    def __init__(
        self, folder: Path, database: str, build: Callable[[Installation], T], clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._url = None if database == "sqlite" else new_postgresql()
        self._clock = clock
        installation = self._open(folder, self._url)
        self._tenant = build(installation)
        installation.close()  # neither a file nor a database is copied while it is open

    @contextmanager
    def copy(self, folder: Path) -> Iterator[T]:
        """One open copy, its data in `folder`/data."""
        url = None if self._url is None else new_postgresql(self._url)
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        tenant = copy(self._tenant)
        tenant.keys = dict(tenant.keys)
        tenant.installation = self._open(folder, url)
        try:
            yield tenant
        finally:
            tenant.installation.close()
            if url is not None:
                drop(url)

    def _open(self, folder: Path, url: str | None) -> Installation:
        clock = Clock() if isinstance(self._clock, Clock) else self._clock
        config = ConsentConfig(data_dir=folder / "data", ledger_url=url, examination=UNEXAMINED)
        return Installation.create(config, clock=clock)

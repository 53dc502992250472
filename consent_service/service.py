"""One installation, opened: the services of each domain over one ledger, one vault and one key provider.

Every operation takes the caller's `Principal` (except `authenticate` and what a signed grant speaks for) and checks its
permission; every query carries its tenant. All of them are synchronous, thread-safe and may block on the disk: call
them off an event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NoReturn

from consent_service import access
from consent_service.clips import watermarks
from consent_service.clips.service import Clips
from consent_service.config import ConsentConfig, page_at
from consent_service.consents.service import Consents
from consent_service.core import Core
from consent_service.deletion.service import Deletion
from consent_service.errors import Unauthenticated
from consent_service.examination.examiner import Examiner
from consent_service.examination.marks import KnownMarks
from consent_service.exports.log import Log
from consent_service.exports.service import Exports
from consent_service.gate.platform import PlatformApi
from consent_service.gate.service import Gate
from consent_service.mail import Messenger
from consent_service.models import Principal
from consent_service.opening import open_core
from consent_service.policy.limits import Limits
from consent_service.proofs.protocols import KeyProvider
from consent_service.proofs.records import KeyPurpose
from consent_service.rotation import signing_certificate
from consent_service.rotation.service import Rotation
from consent_service.self_service.service import SelfService
from consent_service.subjects import contacts
from consent_service.subjects.service import Subjects
from consent_service.tenants.service import Tenants, count
from consent_service.voices.service import Voices

DEFAULT_PAGE: Final = page_at("127.0.0.1", 8000)  # of a service that nobody told where it listens


class ConsentService:
    """Stays in its process: others open their own."""

    def __init__(self, core: Core, messenger: Messenger | None = None) -> None:
        self._core = core
        self._limits = Limits(core.config.limits)
        self._examiner = Examiner(
            core.config.examination, lambda: KnownMarks(core.keys.trust_anchor(), watermarks.keys(core))
        )
        post = contacts.Mailing(
            messenger or contacts.default_messenger(core.config), core.config.subject_page or DEFAULT_PAGE
        )
        self.tenants = Tenants(core)
        self.subjects = Subjects(core, post)
        self.voices = Voices(core, self._examiner, self.subjects)
        self.consents = Consents(core)
        self.gate = Gate(core, self._limits)
        self.clips = Clips(core)
        self.platform = PlatformApi(core, self.gate, self.clips)
        self.self_service = SelfService(core, self._limits, post)
        self.deletion = Deletion(core)
        self.rotation = Rotation(core)
        self.exports = Exports(core)
        self.log = Log(core)
        self._renewer = signing_certificate.keep(core)

    @classmethod
    def open(
        cls,
        config: ConsentConfig,
        *,
        keys: KeyProvider | None = None,
        clock: Callable[[], float] = time.time,
        messenger: Messenger | None = None,
    ) -> ConsentService:
        """Open (and in profile `local` create) ledger, vault and keys; runs migrations. Raises
        LedgerUnavailable, VaultError (keys are missing) or KeyFileUnsafe."""
        return cls(open_core(config, keys, clock), messenger)

    def close(self) -> None:
        self._examiner.close()
        self._renewer.close()
        self._core.ledger.close()

    def ready(self) -> None:
        """Ledger and keys answer. Raises LedgerUnavailable or VaultError."""
        with self._core.ledger.read() as connection:
            count(connection)
        self._core.keys.current_key_id(KeyPurpose.GRANT)

    @property
    def keys(self) -> KeyProvider:
        return self._core.keys

    def authenticate(self, api_key: str, *, source: str | None = None) -> Principal:
        """Raises Unauthenticated (constant-time comparison; the same error for unknown, revoked and expired), or
        RateLimited after too many failures. `source`: the network address that it came from, where there is one."""
        key_id = access.key_id_of(api_key)
        self._limits.before_authentication(key_id, source)
        try:
            with self._core.ledger.read() as connection:
                return access.authenticate(connection, api_key, self._core.clock())
        except Unauthenticated:
            self._limits.failed(key_id, source)
            raise

    def __reduce__(self) -> NoReturn:
        raise TypeError("a consent service stays in its process: send the ConsentConfig and open another")

"""From a granted row to its result, in one process: the engine with the two stages around it.

Samples pass from one stage to the other here and go nowhere else (DESIGN I6). No Ray.
"""

from __future__ import annotations

import secrets
from importlib.metadata import version
from typing import Protocol

from consent_service.models import Principal
from consent_service.service import ConsentService
from consent_service.vault.sealing import load_node_secret
from pipelines.config import NarrateConfig
from pipelines.keyfile import read_key_file
from pipelines.rows import GrantedRow, RowResult
from pipelines.stages import Stamp, Synthesize
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder
from pipelines.watch import RevocationListener
from provenance.stamp import Stamper
from speech.engine import SpeechEngine
from speech.errors import EngineUnavailable, SpeechError
from speech.load import load_engine
from synthesis.disclosure import Deployment
from synthesis.replica import ReplicaIdentity


class RowSynthesizer(Protocol):
    """Gives a row its result. Thread-safe."""

    @property
    def healthy(self) -> bool:
        """False: no row will be spoken any more, and only another process can."""
        ...

    def __call__(self, row: GrantedRow) -> RowResult: ...


class EngineRowSynthesizer:
    """Synthesizes and stamps. Holds an engine, and a key that no other process has.

    Raises EngineUnavailable, or a ConsentError when the ledger is not good.
    """

    def __init__(self, config: NarrateConfig) -> None:
        service = ConsentService.open(config.consent)
        self._engine = _warm(config)
        self._synthesize = Synthesize(
            service,
            lambda: principal_of(service, config),
            self._engine,
            ReplicaIdentity(f"narrate-{secrets.token_hex(8)}", load_node_secret(config.consent.data_dir)),
        )
        self._stamp = Stamp(
            service,
            Stamper(service.keys),
            OutputClips(Folder(config.output), config.delivery.format),
            self._engine.info,
            Deployment(config.consent.provider, version("vouch"), config.consent.disclosure_profile),
            delivery=config.delivery,
        )
        self._listener = RevocationListener(service, self._engine)

    @property
    def healthy(self) -> bool:
        return self._engine.healthy

    def __call__(self, row: GrantedRow) -> RowResult:
        unstamped = self._synthesize(row)
        return unstamped if isinstance(unstamped, RowResult) else self._stamp(unstamped)


class FailingRowSynthesizer:
    """In the place of an engine that was lost and could not be loaded again: every row is an error, and no grant is
    used up."""

    healthy = False

    def __init__(self, cause: SpeechError) -> None:
        self._message = f"the engine was lost, and none could take its place ({cause.message}); run again"

    def __call__(self, row: GrantedRow) -> RowResult:
        return row.result.fail("error", EngineUnavailable.code, self._message)


def principal_of(service: ConsentService, config: NarrateConfig) -> Principal:
    """Who runs this narration. Asked again for every decision, so that a revoked key stops at once."""
    return service.authenticate(read_key_file(config.api_key_file))


def _warm(config: NarrateConfig) -> SpeechEngine:
    """Raises SpeechError, also for what a library says of a device that is gone."""
    try:
        engine = load_engine(config.engine)
        engine.warm_up()
    except SpeechError:
        raise
    except Exception as exc:
        raise EngineUnavailable(
            f"the engine did not start ({type(exc).__name__}); `vouch doctor` says more"
        ) from exc
    return engine

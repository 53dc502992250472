from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consent_service.vault.sealing import load_node_secret
from pipelines.rows import GrantedRow, RowResult, ScriptRow
from pipelines.stages import Consent, Stamp, Synthesize
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder
from provenance.profiles.profile import DEFAULT
from provenance.stamp import Stamper
from speech.config import EngineConfig
from speech.engine import SpeechEngine
from speech.load import load_engine
from synthesis.disclosure import Deployment
from synthesis.replica import ReplicaIdentity
from tests.assets.publisher import PURPOSE, Publisher, row


@pytest.fixture(scope="session")
def engine() -> Iterator[SpeechEngine]:
    loaded = load_engine(EngineConfig(name="embedded"))
    yield loaded
    loaded.close()


class Stages:
    """The three stages over one publisher, each replaceable."""

    def __init__(self, publisher: Publisher, engine: SpeechEngine) -> None:
        self.publisher = publisher
        self.engine = engine
        output = Folder(str(publisher.folder / "out"))
        publisher.service.clips.register_store(output.uri, "output", tenant=publisher.name)
        self.clips = OutputClips(output)
        self.finished: dict[str, RowResult] = {}
        self.synthesize = self.synthesizer(engine)
        self.stamp = self.stamper(publisher.service)

    def consent(self, *rows: ScriptRow, service: Any = None) -> list[RowResult | GrantedRow]:
        stage = Consent(
            service or self.publisher.service,
            self._principal,
            self.clips,
            self.finished,
            model="model",
            purpose=PURPOSE,
            max_characters=200,
        )
        return stage(rows)

    def synthesizer(
        self, engine: SpeechEngine, *, service: Any = None, clock: Callable[[], float] = time.time
    ) -> Synthesize:
        secret = load_node_secret(self.publisher.config.data_dir)
        ledger = service or self.publisher.service
        return Synthesize(
            ledger,
            self._principal,
            engine,
            ReplicaIdentity(f"replica-{secrets.token_hex(4)}", secret, clock=clock),
            clock=clock,
        )

    def stamper(self, service: Any, *, clips: OutputClips | None = None, stamper: Any = None) -> Stamp:
        return Stamp(
            service,
            stamper or Stamper(self.publisher.service.keys),
            clips or self.clips,
            self.engine.info,
            Deployment("Lantern", "0", DEFAULT),
        )

    def ready(self, row_id: str = "a", **columns: Any) -> GrantedRow:
        (decided,) = self.consent(script_row(row_id, **columns))
        assert isinstance(decided, GrantedRow), decided
        return decided

    def finish(self, ready: GrantedRow) -> RowResult:
        spoken = self.synthesize(ready)
        return spoken if isinstance(spoken, RowResult) else self.stamp(spoken)

    def files(self) -> list[str]:
        return [path.name for path in (self.publisher.folder / "out").rglob("*") if path.is_file()]

    def _principal(self) -> Any:
        return self.publisher.service.authenticate(self.publisher.keys["narrator"])


def script_row(row_id: str, text: str | None = "The lamp was lit.", **columns: Any) -> ScriptRow:
    return ScriptRow(**row(row_id, text, **columns))


@pytest.fixture
def stages(publisher: Publisher, engine: SpeechEngine) -> Stages:
    return Stages(publisher, engine)

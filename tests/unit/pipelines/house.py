"""A ledger with two voices of people, a designed default and a narrator's key: what a narration needs to run."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from consent_service.config import ConsentConfig
from consent_service.examination.config import ExaminationConfig
from consent_service.models import Claims, ConsentTerms, Principal, Role
from consent_service.service import ConsentService
from pipelines.config import NarrateConfig
from pipelines.keyfile import write_key_file
from speech.config import EngineConfig

GRANTEE = "Lantern Audiobooks"
PURPOSE = "narration.audiobook"
CLAIMS = (PURPOSE, "narration.elearning")


def recording(hertz: float, seconds: float = 4.0, rate: int = 24_000) -> bytes:
    """Something voice-like: a gliding harmonic tone that swells and fades, as a WAV file."""
    time_s = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time_s))) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * time_s)
    noise = np.random.default_rng(int(hertz)).normal(0, 0.01, time_s.size)
    buffer = io.BytesIO()
    soundfile.write(buffer, (0.2 * tone * swell + noise).astype(np.float32), rate, format="WAV")
    return buffer.getvalue()


# Computed recordings have no speaker, and an examiner's process takes seconds to start: a reviewer decides.
UNEXAMINED = ExaminationConfig(speaker="none", marks="none")


class House:
    """One data directory with everything in it; other processes open the same."""

    tenant = "lantern"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.consent_config = ConsentConfig(data_dir=folder / "data", examination=UNEXAMINED)
        self.service = ConsentService.open(self.consent_config)
        self.admin = self._principal(self.service.tenants.bootstrap(self.tenant))
        self.reviewer = self._principal(self._key("review", Role.REVIEWER))
        self.narrator_key = self._key("narration", Role.NARRATOR, voices=("*",), purposes=CLAIMS)
        self.narrator = self._principal(self.narrator_key)
        self.key_file = write_key_file(folder / "narrator.key", self.narrator_key)
        self.anna = self.enrol("Anna", 190.0)
        self.boris = self.enrol("Boris", 110.0)
        self.anna_consent = self.consent(self.anna, PURPOSE, "narration.elearning")
        self.boris_consent = self.consent(self.boris, PURPOSE)

    def _principal(self, api_key: str) -> Principal:
        return self.service.authenticate(api_key)

    def _key(
        self, label: str, role: Role, voices: tuple[str, ...] = (), purposes: tuple[str, ...] = ()
    ) -> str:
        claims = Claims(purposes=purposes, voices=voices, territories=("WORLD",), channels=("*",))
        return self.service.tenants.create_key(
            self.admin, grantee=GRANTEE, roles=[role], claims=claims, label=label
        )

    def enrol(self, name: str, hertz: float) -> str:
        challenge = self.service.voices.begin_enrolment(
            self.admin, name=name, language="en", grantee=GRANTEE, purpose="narration", subject_name=name
        )
        self.service.voices.complete_enrolment(
            self.admin,
            challenge.enrolment_id,
            reference=recording(hertz),
            transcript="A reference that is only a tone.",
            statement=recording(hertz, 5.0),
        )
        self.service.voices.review(self.reviewer, challenge.voice_id, approve=True)
        return challenge.voice_id

    def consent(self, voice_id: str, *purposes: str, languages: tuple[str, ...] = ("*",)) -> str:
        now = time.time()
        terms = ConsentTerms(GRANTEE, purposes, languages, now - 60, now + 3600)
        recorded = self.service.consents.record(self.admin, voice_id=voice_id, terms=terms)
        self.service.tenants.bind_consent(self.admin, self.narrator.key_id, recorded.consent.consent_id)
        return recorded.consent.consent_id

    def config(self, rows: list[dict[str, Any]] | None = None, **changes: Any) -> NarrateConfig:
        source = self.folder / "script.parquet"
        if rows is not None:
            write_script(source, rows)
        defaults: dict[str, Any] = {
            "input": str(source),
            "output": str(self.folder / "out"),
            "consent": self.consent_config,
            "engine": EngineConfig(name="embedded"),
            "api_key_file": self.key_file,
            "purpose": PURPOSE,
        }
        return NarrateConfig(**defaults | changes)


def row(row_id: str, text: str | None = "The lamp was lit.", **columns: Any) -> dict[str, Any]:
    return {"id": row_id, "text": text, "language": "en", "voice": "preset:Vivian", **columns}


def write_script(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = dict.fromkeys(name for one in rows for name in one)
    columns = {name: pa.array([one.get(name) for one in rows], _TYPES.get(name)) for name in names}
    pq.write_table(pa.table(columns), path)
    return path


_TYPES = {
    **dict.fromkeys(("id", "text", "language", "voice", "purpose", "instruct"), pa.string()),
    "seed": pa.int64(),
}

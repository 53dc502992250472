"""A throw-away installation with one enrolled voice, so that what is measured is the real way of a request.

The voice is a computed hum and the evidence says so. Everything lies in a temporary folder and is gone afterwards.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from consent_service.config import ConsentConfig
from consent_service.examination.config import ExaminationConfig
from consent_service.models import ConsentTerms, EnrolmentAnswer, Principal
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey, load_node_secret
from speech.engine import SAMPLE_RATE, Samples
from vouch.home import make_identity

PURPOSE: Final = "narration"
EVIDENCE: Final = "benchmark: a computed hum in place of a person"
REPLICA: Final = "benchmark-replica"
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class House:
    """An open ledger, a narrator with a consent bound to its key, and a registered replica."""

    config: ConsentConfig
    service: ConsentService
    narrator_key: str = field(repr=False)
    admin: Principal
    narrator: Principal
    voice_id: str
    consent_id: str
    replica: ReplicaKey = field(repr=False)


@contextmanager
def temporary_house(ledger_url: str | None = None) -> Iterator[House]:
    """Make it, and remove it. `ledger_url`: an empty database to use in place of SQLite; it is left as it is."""
    folder = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    # A hum has no speaker, and what examines recordings is not what is measured.
    examination = ExaminationConfig(speaker="none", marks="none")
    config = ConsentConfig(data_dir=folder / "data", ledger_url=ledger_url, examination=examination)
    try:
        service = ConsentService.open(config)
        try:
            yield _furnished(config, service)
        finally:
            service.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hum(seconds: float, hertz: float = 140.0) -> Samples:
    """Something voice-like: a harmonic tone that glides, swells and fades. float32[n] at SAMPLE_RATE."""
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * at))) / SAMPLE_RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * at)
    room = np.random.default_rng(int(hertz)).normal(0, 0.005, at.size)
    return (0.15 * tone * swell + room).astype(np.float32)


def wav(samples: Samples) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _furnished(config: ConsentConfig, service: ConsentService) -> House:
    keys = make_identity(service, tenant="benchmark", grantee="benchmark")
    admin, narrator = service.authenticate(keys["admin"]), service.authenticate(keys["narrator"])
    challenge = service.voices.begin_enrolment(
        admin, name="Hum", language="en", grantee="benchmark", purpose=PURPOSE, subject_name="Nobody"
    )
    service.voices.complete_enrolment(
        admin,
        challenge.enrolment_id,
        EnrolmentAnswer(
            reference=wav(hum(4.0)),
            transcript="A hum has no words.",
            statement=wav(hum(4.0, hertz=150.0)),
            note=EVIDENCE,
        ),
    )
    reviewer = service.authenticate(keys["reviewer"])
    service.voices.review(reviewer, challenge.voice_id, approve=True, note=EVIDENCE)
    now = time.time()
    terms = ConsentTerms("benchmark", (PURPOSE,), ("*",), valid_from=now - 1, valid_until=now + _DAY_S)
    recorded = service.consents.record(admin, voice_id=challenge.voice_id, terms=terms)
    service.tenants.bind_consent(admin, narrator.key_id, recorded.consent.consent_id)
    replica = ReplicaKey(REPLICA)
    proof = replica.proof(load_node_secret(config.data_dir))
    service.gate.register_replica(REPLICA, replica.public_bytes, proof)
    consent_id = recorded.consent.consent_id
    return House(config, service, keys["narrator"], admin, narrator, challenge.voice_id, consent_id, replica)

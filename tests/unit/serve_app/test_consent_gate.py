"""The gate's threads: what examines recordings never holds those that decide."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from consent_service.http.consent_api import Caller, ConsentApi
from consent_service.models import Allow, EnrolmentAnswer
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey
from serve_app.errors import RequestRefused
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi, consent_api
from serve_app.gate.consent_gate import ConsentGate
from serve_app.gate.protocol import Gate
from serve_app.handles import local
from tests.unit.serve_app.house import House, Studio, recording

AT_ONCE = 8  # as many as there are threads for the ledger
# Hangs until the writing end of a pipe is closed.
HUNG_EXAMINER = (sys.executable, "-c", "import sys; open(sys.argv[1]).read()")


async def complete(consents: ConsentApi, studio: Studio, enrolment_id: str) -> None:
    answer = EnrolmentAnswer(recording(4.0, hertz=150.0), "what is said", recording(3.5, hertz=151.0))
    await consents.complete_enrolment(Caller(studio.keys["admin"]), enrolment_id, answer)


def test_enrolments_at_a_hung_examiner_hold_up_no_decision_and_no_revocation(
    house: House, studio: Studio, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    examination = house.config.consent.examination.model_copy(update={"marks": (*HUNG_EXAMINER, str(pipe))})
    service = ConsentService.open(house.config.consent.model_copy(update={"examination": examination}))
    consent_gate = ConsentGate(service)
    gate = local(Gate, consent_gate)
    gates_consents = GateConsentApi(service)
    consents = consent_api(local(SealedConsentApi, gates_consents))
    challenges = [
        service.voices.begin_enrolment(
            studio.by("admin"), name=f"Voice {n}", language="en", grantee="studio", purpose="narration",
            subject_name="A Person",
        )
        for n in range(AT_ONCE)
    ]  # fmt: skip

    async def decide_and_revoke() -> None:
        key = ReplicaKey("replica-beside-a-hung-examiner")
        await gate.register_replica(key.replica_id, key.public_bytes, key.proof(house.node_secret))
        allowed = await gate.authorize(studio.keys["narrator"], studio.say().claim())
        assert isinstance(allowed, Allow)
        assert (await gate.redeem(allowed.token, key.replica_id)).grant == allowed.grant
        cursor = 0
        while (feed := await gate.revocations(cursor, 0.0)).events:
            cursor = feed.cursor
        polling = asyncio.create_task(gate.revocations(cursor, 30.0))
        consent_id = studio.consent.consent.consent_id
        await consents.revoke_consent(Caller(studio.keys["admin"]), consent_id, "withdrawn")
        assert [event.voice_id for event in (await polling).events] == [studio.voice.voice_id]

    async def play() -> None:
        enrolling = [
            asyncio.create_task(complete(consents, studio, challenge.enrolment_id))
            for challenge in challenges
        ]
        held = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # returns when the examiner has opened it
        try:
            await asyncio.wait_for(decide_and_revoke(), 40)
            assert not any(task.done() for task in enrolling), "the examiner is still hung"
        finally:
            pipe.unlink()
            os.close(held)
        outcomes = await asyncio.gather(*enrolling, return_exceptions=True)
        assert {o.code if isinstance(o, RequestRefused) else o for o in outcomes} == {
            "examination_unavailable"
        }

    house.run(play(), timeout_s=120)
    gates_consents.close()
    consent_gate.close()

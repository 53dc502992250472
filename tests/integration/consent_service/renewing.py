"""What another process does while the leaf grows old."""

from __future__ import annotations

from multiprocessing.connection import Connection

from consent_service.config import ConsentConfig
from consent_service.keys.certificates import leaf_id
from consent_service.service import ConsentService
from tests.assets.installation import START, Clock
from tests.unit.consent_service.leaves import YEAR, settled


def outlive(config: ConsentConfig, line: Connection) -> None:
    """Open while the leaf is young enough; say ready; at the word two years have passed: sign, and tell under what,
    before and after."""
    clock = Clock(START - 2 * YEAR)
    service = ConsentService.open(config.model_copy(update={"busy_timeout_s": 30.0}), clock=clock)
    line.send("ready")
    line.recv()
    clock.now = START
    first = leaf_id(service.keys.certificate_chain())
    last = leaf_id(settled(service))
    service.keys.sign_manifest(b"claim")
    line.send((first, last))
    service.close()

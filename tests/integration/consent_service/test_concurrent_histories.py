"""Several processes enrol, consent, narrow, withdraw, let expire, end, decide and redeem at once, as hypothesis has it;
and never is a grant redeemed after a committed withdrawal, or twice. The log's own order is the judge."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from consent_service.config import ConsentConfig
from consent_service.policy.limits import LimitsConfig
from consent_service.proofs.log import verify_export
from tests.assets.databases import DATABASES, drop, ledger_url
from tests.assets.installation import START, UNEXAMINED, Installation
from tests.integration.consent_service import workers
from tests.integration.consent_service.driving import Consented, Known, Opening, SharedClock, Told, drive
from tests.integration.consent_service.judging import Judge

PROCESSES = 3
IN_CI, IN_THE_LONG_RUN = 2_500, 100_000  # decisions, on each database
TOLD = (
    "consent.recorded.after_a_withdrawal", "consent.narrowed", "consent.revoked",
    "speech.redeemed", "speech.refused", "speech.closed",
)  # fmt: skip
GRANTS = 40  # the latest, used or not, that processes are offered

numbers = st.sampled_from(range(97))
# Every withdrawal ends the grants of its voice: much has to be spoken for one that matters.
WEIGHTS = {"authorize": 8, "redeem": 8, "redeem_one": 12, "record": 3, "narrow": 2, "revoke": 1}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
STEPS = st.tuples(st.sampled_from(NAMES), numbers, st.sampled_from(range(1, 61)))
RARE = st.sampled_from(["decommission", "enrol", "", "", "", "", "", ""])


@dataclass
class Fleet:
    """The processes, alive through all histories of a test, and the count of what they did."""

    database: str
    now: Any
    lines: list[Connection]
    running: list[BaseProcess]
    counted: Counter[str] = field(default_factory=Counter)

    def all_do(self, commands: list[Any]) -> list[Any]:
        for line, command in zip(self.lines, commands, strict=True):
            line.send(command)
        answers = [line.recv() for line in self.lines]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


@pytest.fixture(params=DATABASES)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    context = workers.processes()
    now = context.Value("d", START)
    lines, running = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=drive, args=(now, theirs))
        process.start()
        theirs.close()
        lines.append(ours)
        running.append(process)
    yield Fleet(request.param, now, lines, running)
    for line in lines:
        line.close()
    for process in running:
        process.join(20)
        assert process.exitcode == 0


def history_of(fleet: Fleet) -> type[RuleBasedStateMachine]:
    """The machine whose histories these processes make."""

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.folder = tempfile.TemporaryDirectory(prefix="vouch-history-")
            self.url = ledger_url(fleet.database)
            data_dir = Path(self.folder.name) / "data"
            config = ConsentConfig(data_dir=data_dir, ledger_url=self.url, examination=UNEXAMINED)
            self.world = Installation.create(config, clock=SharedClock(fleet.now)).tenant()
            generous = LimitsConfig(refusals=10**9, failures=10**9)
            config = self.world.config.model_copy(update={"busy_timeout_s": 60.0, "limits": generous})
            world = self.world
            fleet.now.value = START
            opened = fleet.all_do([Opening(config, world.keys)] * PROCESSES)
            assert opened == ["open"] * PROCESSES
            recorded, voice_id = self.world.consent, self.world.voice.voice_id
            self.consents = [Consented(recorded.consent.consent_id, voice_id, recorded.consent_token)]
            self.grants: list[str] = []
            self.redeemed: dict[str, int] = {}

        @rule(
            scripts=st.lists(st.lists(STEPS, min_size=2, max_size=6), min_size=PROCESSES, max_size=PROCESSES),
            rare=RARE,
            which=numbers,
        )
        def all_at_once(self, scripts: list[list[Any]], rare: str, which: int) -> None:
            if not self.consents:
                rare = "enrol"
                self.consents = [Consented("gone", "gone", "gone")]
            if rare:
                scripts[which % PROCESSES].append((rare, which, 0))
            known = Known(tuple(self.consents), tuple(self.grants))
            for told in fleet.all_do([(known, script) for script in scripts]):
                self._hear(told)
            self.grants = self.grants[-GRANTS:]

        @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]))
        def time_passes(self, seconds: float) -> None:
            fleet.now.value += seconds

        @invariant()
        def something_can_be_spoken(self) -> None:
            if len({each.voice_id for each in self.consents}) < 2:
                self.all_at_once([[("enrol", 0, 0)], [("enrol", 0, 0)], []], "", 0)

        def _hear(self, told: Told) -> None:
            fleet.counted["decisions"] += told.decisions
            fleet.counted["unknown"] += told.unknown
            self.grants += told.allowed
            gone = set(told.ended)
            self.consents = [each for each in self.consents if each.consent_id not in gone] + told.consents
            self.consents = self.consents[-8:]
            for grant, leaf in told.redeemed:
                assert grant not in self.redeemed, "two processes were told that they had redeemed one grant"
                self.redeemed[grant] = leaf

        def teardown(self) -> None:
            try:
                judge = Judge()
                judge.hear(self._entries())
                fleet.counted += judge.kinds
                # Whatever a process was told is in the log, and what it was not told is not.
                assert self.redeemed.items() <= judge.redeemed.items()
                assert fleet.counted["unknown"] or len(self.redeemed) == len(judge.redeemed)
                folder = Path(self.folder.name) / "export"
                self.world.service.log.export(self.world.auditor, folder)
                assert verify_export(folder).size == judge.size
            finally:
                self.world.service.close()
                if self.url is not None:
                    drop(self.url)
                self.folder.cleanup()

        def _entries(self) -> Iterator[dict[str, Any]]:
            for start in itertools.count(0, 1000):
                page = self.world.service.log.entries(self.world.auditor, start, 1000)
                yield from map(json.loads, page)
                if len(page) < 1000:
                    return

    return History


def make_histories(fleet: Fleet, decisions: int, steps: int, histories: int) -> None:
    usual = settings(
        max_examples=histories,  # of a round; the first of each is the emptiest that there is
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=False,  # its profile for CI would draw the same few histories for ever
        phases=[Phase.generate],  # what processes did at once can't be done again, and so not be made smaller
        suppress_health_check=list(HealthCheck),
    )
    # Until there was enough, and the histories were worth judging.
    while fleet.counted["decisions"] < decisions or not all(fleet.counted[kind] for kind in TOLD):
        run_state_machine_as_test(history_of(fleet), settings=usual)
    sys.stdout.write(f"\n{fleet.database}: {dict(sorted(fleet.counted.items()))}\n")


def test_no_grant_is_redeemed_twice_or_after_a_withdrawal(fleet: Fleet) -> None:
    make_histories(fleet, IN_CI, steps=20, histories=3)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_grant_is_redeemed_twice_or_after_a_withdrawal_in_long_histories(fleet: Fleet) -> None:
    make_histories(fleet, IN_THE_LONG_RUN, steps=60, histories=10)
    assert fleet.counted["voice.decommissioned"] > 0

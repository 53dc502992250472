"""A thousand rows in one call, and the feed's delay, on both databases. Nothing here looks at how fast anything was."""

from __future__ import annotations

import pytest

from benchmarks.gate import main
from tests.assets.bench_lines import figures_in


@pytest.mark.slow
def test_batches_are_measured_against_their_database(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seconds", "0"])
    peers = {line["case"]: line.get("peer") for line in figures_in(capsys.readouterr().out, bench="gate")}
    for database in ("sqlite", "postgresql"):
        assert peers[f"{database}-append-many"] == "sqlalchemy-insert-many-commit"
        assert peers[f"{database}-register-many"] == "sqlalchemy-update-many-commit"
        assert {f"{database}-authorize-many", f"{database}-redeem-many"} <= set(peers)
        assert {f"{database}-feed-{name}" for name in ("p50", "p95", "max")} <= set(peers)

"""What a benchmark prints, in the shape that DESIGN fixes."""

from __future__ import annotations

import json
from typing import Any

KEYS = {"bench", "case", "value", "unit"}
PEER = {"peer", "peer_value", "ratio"}


def figures_in(printed: str, *, bench: str, zeros: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Every line but the machine's. zeros: in the cases of figures that may be 0."""
    machine, *lines = [json.loads(line) for line in printed.splitlines()]
    assert {"cpu", "cores", "memory_gb", "python", "torch"} <= set(machine["machine"])
    for line in lines:
        assert set(line) in (KEYS, KEYS | PEER)
        assert line["bench"] == bench
        assert line["value"] > 0 or any(zero in line["case"] for zero in zeros)
    return lines

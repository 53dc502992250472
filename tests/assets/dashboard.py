"""Reads the queries of a Grafana dashboard, ready to be sent to a Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "replica-utilization.json"

# What Grafana would put in for the dashboard's variables, with everything selected.
VARIABLES = {"deployment": ".*", "window": "1m"}


def load(path: Path = DASHBOARD) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def panels(path: Path = DASHBOARD) -> list[dict[str, Any]]:
    """Every panel that draws something; rows are left out."""
    return [panel for panel in load(path)["panels"] if panel["type"] != "row"]


def queries(path: Path = DASHBOARD, **variables: str) -> list[tuple[str, str]]:
    """(panel title, PromQL) of every query, variables substituted; `variables` replace the defaults."""
    values = VARIABLES | variables
    return [
        (panel["title"], re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], target["expr"]))
        for panel in panels(path)
        for target in panel["targets"]
    ]


def metric_names(expression: str) -> set[str]:
    """Names of the series that a PromQL expression reads (all of ours and Ray's begin with `ray_`)."""
    return set(re.findall(r"\bray_\w+", expression))

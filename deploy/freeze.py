"""Writes `constraints.txt`: the exact version of every package that this project's extras pull in.

Reads the running environment: start from our own requirements, follow each package's metadata, keep what is
installed. A package that nobody asks for is left out, so an environment that has seen other work still gives
the same file. Local version labels (`+cpu`) are dropped: one file serves CPU and GPU machines, and which
torch pip takes is the index's business. Run it with `make constraints` after changing a requirement.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# Not "gpu": flash-attn is compiled against one CUDA and one torch, so no single version fits everyone.
EXTRAS = frozenset({"embedded", "postgres", "research", "dev"})

HEADER = """\
# Exact versions, for `pip install -c constraints.txt`. Written by `make constraints`; do not edit by hand.
# The CUDA packages that a GPU build of torch brings are pinned by torch itself.
"""


def own_requirements(extras: frozenset[str]) -> list[Requirement]:
    """What `pyproject.toml` asks for now; the installed metadata may be from before an edit."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in sorted(extras):
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def closure(extras: frozenset[str] = EXTRAS) -> dict[str, str]:
    """Canonical name → version of every package our requirements pull in here. Raises on one that is missing."""
    found: dict[str, str] = {}
    visited: set[tuple[str, str]] = set()
    queue = _wanted(own_requirements(extras), extra="")
    while queue:
        name, extra = queue.pop()
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        package = distribution(name)
        found[name] = package.version.partition("+")[0]
        requirements = [Requirement(line) for line in package.requires or ()]
        if name == "torch":
            # The CUDA packages of a GPU build: torch pins them itself, and a CPU build lacks them.
            requirements = [one for one in requirements if not str(one.specifier).startswith("==")]
        queue += _wanted(requirements, extra)
    return found


def _wanted(requirements: list[Requirement], extra: str) -> list[tuple[str, str]]:
    """(name, extra) of each requirement that applies here: the package itself and each extra asked of it."""
    return [
        (canonicalize_name(one.name), wanted)
        for one in requirements
        if one.marker is None or one.marker.evaluate({"extra": extra})
        for wanted in ("", *one.extras)
    ]


def constraints(versions: dict[str, str]) -> str:
    """The file's text: one `name==version` a line, sorted."""
    return HEADER + "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


if __name__ == "__main__":
    sys.stdout.write(constraints(closure()))

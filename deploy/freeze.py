"""Writes `constraints.txt`: the exact version of every package that this project's extras pull in.

Reads the running environment: start from our own requirements, follow each package's metadata, keep what is
installed. A package that nobody asks for is left out, so an environment that has seen other work still gives
the same file. Local version labels (`+cpu`) are dropped: one file serves CPU and GPU machines, and which
torch pip takes is the index's business. Run it with `make constraints` after changing a requirement.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "vouch"
# Not "gpu": flash-attn is compiled against one CUDA and one torch, so no single version fits everyone.
EXTRAS = frozenset({"embedded", "postgres", "dev"})

HEADER = """\
# Exact versions, for `pip install -c constraints.txt`. Written by `make constraints`; do not edit by hand.
# The CUDA packages that a GPU build of torch brings are pinned by torch itself.
"""


def closure(project: str = PROJECT, extras: frozenset[str] = EXTRAS) -> dict[str, str]:
    """Canonical name → version of everything `project[extras]` needs here, itself excluded."""
    found: dict[str, str] = {}
    visited: set[tuple[str, str]] = set()
    queue = [(project, extra) for extra in ("", *sorted(extras))]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement of an optional feature that pip did not install either
        if name != project:
            found[name] = package.version.partition("+")[0]
        for line in package.requires or ():
            requirement = Requirement(line)
            if name == "torch" and str(requirement.specifier).startswith("=="):
                continue  # the CUDA packages of a GPU build, which torch pins itself and a CPU build lacks
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                queue.extend((needed, wanted) for wanted in ("", *requirement.extras))
    return found


def constraints(versions: dict[str, str]) -> str:
    """The file's text: one `name==version` a line, sorted."""
    return HEADER + "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


if __name__ == "__main__":
    sys.stdout.write(constraints(closure()))

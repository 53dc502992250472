"""The shape of the house: no circle of imports, and rooms that a newcomer can survey.

Imports are read from the source, those for type checkers and inside of functions included: a circle that only a type
checker sees is a circle for the reader.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in {"tests", "benchmarks"}
)
MOST_FILES_AT_THE_TOP = 12


def modules() -> dict[str, Path]:
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: Iterable[str]) -> set[str]:
    """The modules of the house that a file imports."""
    names = set(known)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names) or {node.module}
    return found & names


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one node: what can reach each other."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += graph.get(node, ())
        reach[start] = seen
    found: list[set[str]] = []
    for node in graph:
        circle = {other for other in reach[node] if node in reach.get(other, ())}
        if circle and circle not in found:
            found.append(circle)
    return found


def by_module() -> dict[str, set[str]]:
    files = modules()
    return {name: imports(path, files) - {name} for name, path in files.items()}


def by_package() -> dict[str, set[str]]:
    """The same, a package of a room (or a file at its top) at a time."""

    def package(module: str) -> str:
        return ".".join(module.split(".")[:2])

    graph: dict[str, set[str]] = {}
    for module, imported in by_module().items():
        inside = {package(each) for each in imported if "." in each}
        graph.setdefault(package(module), set()).update(inside - {package(module)})
    return graph


@pytest.mark.parametrize("graph", [by_module, by_package])
def test_no_imports_go_in_a_circle(graph) -> None:  # type: ignore[no-untyped-def]
    assert circles(graph()) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


INDEX_ENTRY = re.compile(r"^ *((?:[a-z_]+, )*[a-z_]+) {2,}\S", re.MULTILINE)


def test_the_index_of_a_package_names_what_is_in_it() -> None:
    for name, path in modules().items():
        if path.name == "__init__.py":
            there = {each.stem for each in path.parent.iterdir()}
            for entry in INDEX_ENTRY.findall(ast.get_docstring(ast.parse(path.read_text())) or ""):
                assert set(entry.split(", ")) <= there, (name, entry)


@pytest.mark.parametrize("room", ["consent_service", "serve_app"])
def test_the_top_of_a_room_is_surveyable(room: str) -> None:
    files = sorted(path.name for path in (ROOT / room).glob("*.py"))
    assert len(files) <= MOST_FILES_AT_THE_TOP, files

"""Draws the pictures that follow from the code: rooms and walls, the tables of the ledger, the list of decisions.

`python -m tests.unit.deploy.pictures` writes them into their pages, between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import dialect

from consent_service.ledger.tables import metadata

ROOT: Final = Path(__file__).resolve().parents[3]
DOCS: Final = ROOT / "docs"
_SUBJECTS: Final = {
    "tenants and their keys": ("tenants", "api_keys", "bindings"),
    "people, voices and consents": (
        "subjects", "subject_links", "voices", "enrolments", "consents", "consent_versions", "salts",
    ),
    "grants and clips": ("replicas", "redemptions", "clips", "design_reports", "clip_stores"),
    "the end of consents and voices": ("revocations", "decommissions", "counters"),
    "the audit log": ("log_heads", "log_entries", "log_nodes", "superseded_keys"),
}  # fmt: skip
_NOT_ROOMS: Final = frozenset({"vouch"})  # imports everything; an arrow for each would hide the others


def rooms(project: dict[str, Any] | None = None) -> str:
    """Which room may import which, as the contracts of the import linter in pyproject.toml have it."""
    linter = (project or tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))["tool"]["importlinter"]
    packages = [name for name in linter["root_packages"] if name not in _NOT_ROOMS]
    walls = set(_walls(linter["contracts"], packages))
    windows = _windows(linter["contracts"])
    arrows = [
        (importer, imported)
        for importer in packages
        for imported in packages
        if importer != imported and (importer, imported) not in walls
    ]
    both_ways = [pair for pair in arrows if pair[::-1] in arrows]
    assert not both_ways, f"no contract says which of these stands lower: {both_ways}"
    # A room that every other room may import is the ground floor: an arrow to it from each would hide the others.
    ground = [name for name in packages if all((each, name) in arrows for each in packages if each != name)]
    lines = ["flowchart TB", '    vouch("vouch: imports every room")']
    lines += [
        f'    {name}("{name}: every room stands on it")' if name in ground else f"    {name}[{name}]"
        for name in packages
    ]
    lines += [f"    {importer} --> {imported}" for importer, imported in arrows if imported not in ground]
    lines += [
        f'    {importer} -. "{", ".join(modules)}" .-> {imported}'
        for (importer, imported), modules in sorted(windows.items())
    ]
    return _mermaid(lines)


def layers(project: dict[str, Any] | None = None) -> str:
    """The floors inside consent_service, highest first."""
    linter = (project or tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))["tool"]["importlinter"]
    (contract,) = (each for each in linter["contracts"] if each["type"] == "layers")
    rows = ["| floor | |", "|---|---|"]
    for floor, names in enumerate(reversed(contract["layers"])):
        rows.insert(2, f"| {floor} | {', '.join(f'`{name}`' for name in re.split(' [|:] ', names))} |")
    return "\n".join(rows)


def tables() -> str:
    """The tables of the ledger, as `consent_service.ledger.tables` declares them: one diagram for each subject."""
    drawn = [name for names in _SUBJECTS.values() for name in names]
    assert sorted(drawn) == sorted(metadata.tables), "a table belongs to one subject of this picture"
    parts = []
    for subject, names in _SUBJECTS.items():
        lines = ["erDiagram"]
        for name in names:
            lines += [f"    {name} {{", *_columns(metadata.tables[name]), "    }"]
        lines += _links(names)
        parts.append(f"### {subject[0].upper()}{subject[1:]}\n\n{_mermaid(lines)}")
    return "\n\n".join(parts)


def decisions() -> str:
    """One row for each record in docs/adr."""
    rows = ["| | |", "|---|---|"]
    for path in sorted((DOCS / "adr").glob("0*.md")):
        number, title = re.fullmatch(
            r"# ADR (\d{4}): (.+)", path.read_text("utf-8").partition("\n")[0]
        ).groups()  # type: ignore[union-attr]
        rows.append(f"| [{number}]({path.name}) | {title} |")
    return "\n".join(rows)


PICTURES: Final[dict[str, tuple[Path, Callable[[], str]]]] = {
    "rooms": (DOCS / "architecture.md", rooms),
    "layers": (DOCS / "architecture.md", layers),
    "tables": (DOCS / "consent" / "ledger.md", tables),
    "decisions": (DOCS / "adr" / "README.md", decisions),
}


def drawn(name: str, page: str, picture: str) -> str:
    """The page with this picture between its two lines."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{picture}{end}{after}"


def _walls(contracts: list[dict[str, Any]], packages: list[str]) -> Iterator[tuple[str, str]]:
    for contract in contracts:
        if contract["type"] == "forbidden":
            yield from (
                (source, target)
                for source in contract["source_modules"]
                for target in contract["forbidden_modules"]
            )
        elif contract["type"] == "independence":
            yield from ((one, other) for one in contract["modules"] for other in contract["modules"])
        elif contract["type"] == "protected":
            allowed = contract["allowed_importers"]
            yield from (
                (package, target)
                for package in packages
                for target in contract["protected_modules"]
                if package not in allowed
            )


def _windows(contracts: list[dict[str, Any]]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for contract in contracts:
        for line in contract.get("ignore_imports", ()) if contract["type"] == "protected" else ():
            importer, imported = line.split(" -> ")
            room, _, module = imported.removesuffix(".**").partition(".")
            modules = found.setdefault((importer.partition(".")[0], room), [])
            if module not in modules:
                modules.append(module)
    return found


def _columns(table: Table) -> Iterator[str]:
    for column in table.columns:
        kind = re.sub(r"\W.*", "", column.type.compile(dialect=dialect())).lower()  # type: ignore[no-untyped-call]
        mark = " PK" if column.primary_key else ""
        yield f"        {kind} {column.name}{mark}"


def _links(names: tuple[str, ...]) -> Iterator[str]:
    """A column that has the name of another table's only key of its own leads there."""
    keys = {
        keys[0]: name
        for name in names
        if len(keys := [each.name for each in metadata.tables[name].primary_key if each.name != "tenant"])
        == 1
    }
    for name in names:
        for column in metadata.tables[name].columns:
            owner = keys.get(column.name)
            if owner not in (None, name):
                yield f"    {owner} ||--o{{ {name} : {column.name}"


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


def main() -> None:
    """Write every picture into its page."""
    for name, (path, picture) in PICTURES.items():
        path.write_text(drawn(name, path.read_text("utf-8"), picture()), "utf-8")


if __name__ == "__main__":
    main()

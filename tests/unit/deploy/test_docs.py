"""What the documentation tells people to type exists: commands and their options, make targets, paths, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.main import get_command

from consent_service.http.config import ApiConfig
from serve_app.config import IngressConfig
from serve_app.ingress.http import build_http
from speech.embedded.voices import SPEAKERS
from vouch.cli import app

ROOT = Path(__file__).resolve().parents[3]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCS}


def code(text: str) -> Iterator[str]:
    """Lines of fenced blocks, without their comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from (re.sub(r"\s+# .*|\s{2,}prints .*", "", line) for line in block.splitlines())


def commands() -> list[tuple[str, str]]:
    found = {(name, line.strip()) for name, text in TEXT.items() for line in code(text)}
    found |= {
        (name, span)
        for name, text in TEXT.items()
        if name != "CHANGELOG.md"  # which names commands that are gone
        for span in re.findall(r"`(vouch [a-z][^`\n]*)`", text)
    }
    return sorted(
        (n, re.sub(r"^VOUCH_CONFIG=\S+ ", "", line))
        for n, line in found
        if re.search(r"^(VOUCH_\S+ )?vouch [a-z]", line)
    )


@pytest.mark.parametrize(("document", "line"), commands())
def test_a_command_in_the_documentation_exists_with_its_options(document: str, line: str) -> None:
    node, words = get_command(app), shlex.split(line.removesuffix("&"))[1:]
    while words and hasattr(node, "commands") and not words[0].startswith("-"):
        assert words[0] in node.commands, f"{document}: no such command: {line}"
        node, words = node.commands[words[0]], words[1:]
    known = {option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert asked <= known | {"--help"}, f"{document}: {asked - known} in: {line}"


def test_the_documentation_shows_commands_at_all() -> None:
    assert len(commands()) > 10


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    told = {
        target
        for text in TEXT.values()
        for target in re.findall(r"\bmake ((?:[a-z]+-)*[a-z]+)\b(?=`|  |$)", text)
    }
    assert {"demo", "test"} <= told <= targets


@pytest.mark.parametrize("document", TEXT)
def test_every_link_leads_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXT[document])
    missing = [link for link in links if not (ROOT / document).parent.joinpath(link).exists()]
    assert not missing


def anchors(text: str) -> set[str]:
    """The headings of a page, as GitHub names them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", TEXT)
def test_every_link_to_a_heading_finds_it(document: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", TEXT[document])
    here = (ROOT / document).parent
    missing = [
        f"{page}#{heading}"
        for page, heading in links
        if heading not in anchors((here / page).read_text(encoding="utf-8") if page else TEXT[document])
    ]
    assert not missing


def test_every_test_that_the_documentation_names_exists() -> None:
    named = {name for text in TEXT.values() for name in re.findall(r"`(test_[a-z0-9_]+)(?:\.py)?`", text)}
    files = list((ROOT / "tests").rglob("*.py"))
    known = {path.stem for path in files}
    for path in files:
        known |= set(re.findall(r"def (test_[a-z0-9_]+)", path.read_text(encoding="utf-8")))
    assert named
    assert named <= known, named - known


def test_the_readme_lists_the_preset_speakers() -> None:
    (listed,) = re.findall(r"^The nine preset speakers: (.*)\.$", TEXT["README.md"], flags=re.MULTILINE)
    assert re.split(", | and ", listed) == list(SPEAKERS)


def test_prometheus_asks_haproxy_and_the_consent_service_where_they_listen_by_default() -> None:
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    ports = {
        name: jobs[name]["static_configs"][0]["targets"][0].rpartition(":")[2]
        for name in ("haproxy", "vouch-consent")
    }
    # Ray's own default; importing Ray Serve for one number takes seconds.
    assert ports == {"haproxy": "9101", "vouch-consent": str(ApiConfig.model_fields["port"].default)}


def test_every_path_of_the_http_interface_that_the_readme_names_is_served() -> None:
    served = set(build_http(SimpleNamespace(consents=None), IngressConfig(), version="0").openapi()["paths"])  # type: ignore[arg-type]
    named = set(re.findall(r"/v1/[a-z/-]+[a-z]", TEXT["README.md"]))
    assert named
    assert named <= served

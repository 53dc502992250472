"""The walls between the rooms hold, and the contracts that hold them bite.

The contracts of `pyproject.toml` run over a copy of the packages into which one forbidden import each has
been written. A contract that lets its import pass is a wall with a hole in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "vouch",
    "foundation",
    "consent_service",
    "speech",
    "provenance",
    "synthesis",
    "serve_app",
    "pipelines",
)

# (module to write, what it imports, what the linter must say)
FORBIDDEN = [
    (
        "foundation/i1.py",
        "import consent_service.errors",
        "foundation is not allowed to import consent_service",
    ),
    ("foundation/i2.py", "import speech.errors", "foundation is not allowed to import speech"),
    ("foundation/i3.py", "import provenance.errors", "foundation is not allowed to import provenance"),
    ("foundation/i4.py", "import serve_app.errors", "foundation is not allowed to import serve_app"),
    ("foundation/i5.py", "import pipelines.errors", "foundation is not allowed to import pipelines"),
    ("foundation/i6.py", "import vouch.output", "foundation is not allowed to import vouch"),
    ("foundation/i7.py", "import ray", "foundation is not allowed to import ray"),
    ("foundation/i8.py", "import torch", "foundation is not allowed to import torch"),
    ("foundation/i9.py", "import pydantic", "foundation is not allowed to import pydantic"),
    ("consent_service/a1.py", "import torch", "consent_service is not allowed to import torch"),
    ("consent_service/a2.py", "import ray", "consent_service is not allowed to import ray"),
    ("consent_service/a3.py", "import speech.engine", "consent_service is not allowed to import speech"),
    ("consent_service/a4.py", "import vouch", "consent_service is not allowed to import vouch"),
    ("speech/b1.py", "import ray.serve", "speech is not allowed to import ray"),
    ("speech/b2.py", "import sqlalchemy", "speech is not allowed to import sqlalchemy"),
    ("speech/b3.py", "import httpx", "speech is not allowed to import httpx"),
    ("speech/b4.py", "import provenance.errors", "speech is not allowed to import provenance"),
    ("speech/b5.py", "import serve_app.app_of_tomorrow", "speech is not allowed to import serve_app"),
    ("speech/b6.py", "from consent_service import service", "speech.b6 -> consent_service.service"),
    (
        "speech/b7.py",
        "from consent_service.proofs import protocols",
        "speech.b7 -> consent_service.proofs.protocols",
    ),
    ("provenance/c1.py", "import fastapi", "provenance is not allowed to import fastapi"),
    ("provenance/c2.py", "import speech.errors", "provenance is not allowed to import speech"),
    ("provenance/c3.py", "from consent_service import grants", "provenance.c3 -> consent_service.grants"),
    ("provenance/c4.py", "import consent_service.models", "provenance.c4 -> consent_service.models"),
    ("consent_service/a5.py", "import synthesis.voice", "consent_service is not allowed to import synthesis"),
    ("speech/b8.py", "import synthesis.voice", "speech is not allowed to import synthesis"),
    ("provenance/c5.py", "import synthesis.voice", "provenance is not allowed to import synthesis"),
    ("synthesis/s1.py", "import ray", "synthesis is not allowed to import ray"),
    ("synthesis/s2.py", "import fastapi", "synthesis is not allowed to import fastapi"),
    ("synthesis/s3.py", "import sqlalchemy", "synthesis is not allowed to import sqlalchemy"),
    (
        "synthesis/s4.py",
        "import serve_app.app_of_tomorrow",
        "synthesis is not allowed to import serve_app",
    ),
    ("synthesis/s5.py", "import pipelines", "synthesis is not allowed to import pipelines"),
    ("synthesis/s6.py", "import vouch", "synthesis is not allowed to import vouch"),
    ("synthesis/s7.py", "import consent_service.later", "synthesis.s7 -> consent_service.later"),
    (
        "synthesis/s8.py",
        "from consent_service.vault import vault",
        "synthesis.s8 -> consent_service.vault.vault",
    ),
    ("serve_app/d1.py", "import pipelines", "serve_app.d1 -> pipelines"),
    ("pipelines/e1.py", "import serve_app.app_of_tomorrow", "pipelines.e1 -> serve_app.app_of_tomorrow"),
    ("pipelines/e2.py", "import vouch", "pipelines is not allowed to import vouch"),
    (
        "consent_service/proofs/f1.py",
        "import sqlalchemy",
        "proofs is not allowed to import sqlalchemy",
    ),
    # A module that did not exist when the contracts were written is behind the wall too.
    (
        "speech/g1.py",
        "import consent_service.later",
        "speech.g1 -> consent_service.later",
    ),
]
ALLOWED = [
    ("speech/h0.py", "import foundation.errors, foundation.worker_process, foundation.torchaudio_cpu"),
    ("speech/h1.py", "from consent_service.grants import Grant"),
    ("speech/h2.py", "from consent_service.errors import GrantError"),
    ("provenance/h3.py", "from consent_service.proofs.protocols import ClipRecord"),
    (
        "synthesis/h6.py",
        "import consent_service.grants, consent_service.models, consent_service.vault.sealing, "
        "consent_service.proofs.protocols, consent_service.errors, speech.engine, provenance.stamp",
    ),
    (
        "pipelines/h4.py",
        "import consent_service.service, speech.engine, provenance.disclosure, synthesis.voice, ray",
    ),
    (
        "serve_app/h5.py",
        "import consent_service.service, speech.engine, provenance.disclosure, synthesis.voice, ray",
    ),
]


def lint(tree: Path) -> tuple[int, str]:
    """Run the contracts over `tree`: (exit status, report on one line, without colours or wrapping)."""
    command = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=120
    )
    report = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    return done.returncode, " ".join(report.split())


def copy_of_the_house(where: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, where / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", where)
    (where / "serve_app" / "app_of_tomorrow.py").touch()
    return where


@pytest.fixture(scope="module")
def broken_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    house = copy_of_the_house(tmp_path_factory.mktemp("broken"))
    (house / "consent_service" / "later.py").touch()
    for path, line, _ in FORBIDDEN:
        (house / path).write_text(line + "\n")
    status, report = lint(house)
    assert status == 1
    return report


@pytest.mark.parametrize(("path", "line", "said"), FORBIDDEN, ids=[f"{p}: {i}" for p, i, _ in FORBIDDEN])
def test_a_forbidden_import_is_caught(broken_report: str, path: str, line: str, said: str) -> None:
    assert said in broken_report, f"`{line}` in {path} went through"
    module = path.removesuffix(".py").replace("/", ".")
    assert f"{module} ->" in broken_report


def test_the_house_as_it_stands_and_the_allowed_imports_pass(tmp_path: Path) -> None:
    house = copy_of_the_house(tmp_path)
    for path, line in ALLOWED:
        (house / path).write_text(line + "\n")
    status, report = lint(house)
    assert status == 0, report


def test_the_ground_floor_has_six_modules() -> None:
    """A seventh needs a record (ADR 27): it is no place for what has none."""
    modules = {path.stem for path in (ROOT / "foundation").rglob("*.py")} - {"__init__"}
    assert modules == {
        "errors", "redact", "worker_process", "private_files", "rate_limits", "torchaudio_cpu",
    }  # fmt: skip

"""`vouch up` as its operator runs it: a process of its own, found by what it prints, ended by Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import psutil
import soundfile
import yaml

from consent_service.ledger.log import commitment
from speech.text import prepare
from tests.assets.voiced import voiced
from vouch.home import GRANTEE

T = TypeVar("T")

PATIENCE_S = 90
# Two seconds or so for a sentence's worth of work that a test wants to catch in the middle, none for the others.
PACE = 12.0


def until(look: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """The first truthy answer of `look`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not seen in {patience_s:.0f} s: {what}")


def recording(seconds: float, *, seed: int, rate: int = 16_000) -> bytes:
    """An uncompressed WAV: a voice in noise, so that every window of it is there once in the world."""
    voice, _ = soundfile.read(io.BytesIO(voiced(seconds, hertz=150 + seed, rate=rate)), dtype="float32")
    noise = np.random.default_rng(seed).normal(0, 0.01, voice.size)
    out = io.BytesIO()
    soundfile.write(out, (voice + noise).astype(np.float32), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


class Instance:
    """One running `vouch up`, with the keys that its first start made."""

    def __init__(self, folder: Path, program: str, **config: Any) -> None:
        self.data_dir = folder / "data"
        self.temporary = (
            folder / "tmp"
        )  # TMPDIR: what goes to "the temporary folder" of any library goes here
        self.temporary.mkdir(parents=True)
        file = folder / "vouch.yaml"
        engine = {"name": "embedded", "pace": PACE}
        # Computed recordings have no speaker; that they are not marked is looked at for real.
        consent = {"data_dir": str(self.data_dir), "examination": {"speaker": "none"}}
        given = {"consent": consent, "engine": engine, "http": {"port": 0}, **config}
        file.write_text(yaml.safe_dump(given), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "VOUCH_"))}
        environment |= {
            "VOUCH_CONFIG": str(file), "TMPDIR": str(self.temporary), "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        self.errors = folder / "stderr"
        with self.errors.open("w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, "up", "--json", "--no-dashboard"],
                stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True,
            )  # fmt: skip
        try:
            status = self._status()
        except BaseException:
            self.kill()
            raise
        self.url: str = status["url"]
        self.ray = Path(status["ray"])
        self.folder = self.ray.parent
        self.keys: dict[str, str] = json.loads((self.data_dir / "identity.json").read_text(encoding="utf-8"))
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def _status(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("}"):
                return dict(json.loads("".join(lines)))
        raise AssertionError(f"it did not start:\n{self.errors.read_text(encoding='utf-8')[-2_000:]}")

    def family(self) -> list[psutil.Process]:
        """Every process of this instance: descendants, and what was started with its folder in its arguments."""
        found: dict[int, psutil.Process] = {}
        try:
            own = psutil.Process(self.process.pid)
            found |= {p.pid: p for p in [own, *own.children(recursive=True)]}
        except psutil.NoSuchProcess:
            pass
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in part for part in process.info["cmdline"] or ()):
                found[process.pid] = process
        return list(found.values())

    def replica(self, deployment: str) -> psutil.Process:
        """The process of a replica of `Gate`, `Voice` or `Ingress`."""
        name = f"ServeReplica:vouch:{deployment}"

        def look() -> psutil.Process | None:
            for process in self.family():
                try:
                    if any(name in part for part in process.cmdline()):
                        return process
                except psutil.Error:
                    continue
            return None

        return until(look, f"a replica of {deployment}")

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it."""
        self.http.close()
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    # requests --------------------------------------------------------------------------------------------------
    def post(self, path: str, body: Any, *, part: str = "narrator", **more: Any) -> httpx.Response:
        return self.http.post(path, json=body, headers=self.bearer(part), **more)

    def get(self, path: str, *, part: str = "narrator") -> httpx.Response:
        return self.http.get(path, headers=self.bearer(part))

    def bearer(self, part: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[part]}"}

    def log(self) -> list[dict[str, Any]]:
        """Every entry of the audit log, oldest first."""
        entries: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/v1/audit/entries?start={len(entries)}&limit=1000", part="auditor").json()[
                "entries"
            ]
            if not page:
                return entries
            entries += [json.loads(entry) for entry in page]

    def said(self, text: str) -> set[str]:
        """What the log may hold of an English text: a commitment under a voice's salt, or under the tenant's."""
        with closing(sqlite3.connect(f"file:{self.data_dir / 'ledger.sqlite3'}?mode=ro", uri=True)) as ledger:
            salts = ledger.execute(
                "SELECT said_salt FROM voices UNION SELECT said_salt FROM log_heads"
            ).fetchall()
        digest = prepare(text, "en").digest()
        return {commitment(salt, digest) for (salt,) in salts if salt}

    def enrol(self, reference: bytes, transcript: str, *, name: str = "A voice") -> tuple[str, str, str]:
        """(voice id, consent token, the sentence that was to be read): enrolled over HTTP, approved, consented to."""
        import base64

        begun = self.post(
            "/v1/voices/enrolments",
            {"name": name, "language": "en", "grantee": GRANTEE, "purpose": "narration", "subject_name": "A Person"},
            part="admin",
        ).json()  # fmt: skip
        recordings = {"reference": reference, "statement": recording(4.0, seed=99)}
        body = {part: base64.b64encode(raw).decode() for part, raw in recordings.items()}
        done = self.post(
            f"/v1/voices/enrolments/{begun['enrolment_id']}/complete", {**body, "transcript": transcript},
            part="admin",
        )  # fmt: skip
        assert done.status_code == 200, done.text
        voice_id: str = begun["voice_id"]
        assert (
            self.post(f"/v1/voices/{voice_id}/review", {"approve": True}, part="reviewer").status_code == 200
        )
        consent = self.post(
            "/v1/consents",
            {"voice_id": voice_id, "grantee": GRANTEE, "purposes": ["narration"], "languages": ["en"],
             "valid_from": time.time() - 1, "valid_until": time.time() + 3600},
            part="admin",
        )  # fmt: skip
        assert consent.status_code == 201, consent.text
        return voice_id, consent.json()["consent_token"], begun["sentence"]


def open_instance(program: str = "vouch.cli", **config: Any) -> Instance:
    """program: the module that is run. In a folder with a short name: the paths of Unix sockets are limited."""
    return Instance(Path(tempfile.mkdtemp(prefix="vt-", dir="/tmp")), program, **config)

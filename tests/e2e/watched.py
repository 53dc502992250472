"""Runs `vouch` as a process of its own, and knows afterwards whether anything of it is left."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_MARK = "VOUCH_TEST_RUN"
_FOLDER = re.compile(r"/tmp/(?:vouch|vouch-ray)-[\w-]+")


class Watched:
    """One `vouch …`; every process it starts inherits a mark by which it is found again."""

    def __init__(self, *words: object, cwd: Path) -> None:
        self.mark = secrets.token_hex(8)
        self.lines: list[str] = []
        self.folders: set[str] = set()
        self.ports: set[int] = set()
        self._ended = False
        self._grew = threading.Condition()
        env = {**os.environ, _MARK: self.mark, "VOUCH_DATA_DIR": str(cwd / "data")}
        env.pop("RAY_ADDRESS", None)
        command = [sys.executable, "-m", "vouch.cli", *map(str, words)]
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, words: str, timeout_s: float) -> None:
        """Until a line on stderr holds `words`."""
        with self._grew:
            seen = self._grew.wait_for(
                lambda: any(words in line for line in self.lines) or self.process.poll() is not None,
                timeout_s,
            )
        assert seen, f"{words!r} never came:\n{self.error}"
        assert any(words in line for line in self.lines), self.error
        self.look()

    def look(self) -> None:
        """Note the folders and ports in use now."""
        for process in self.processes():
            with suppress(psutil.Error):
                self.folders |= set(_FOLDER.findall(" ".join(process.cmdline())))
                connections = process.net_connections(kind="tcp")
                self.ports |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}

    def interrupt(self) -> None:
        """As a terminal does on Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout_s: float) -> tuple[int, str]:
        """(exit code, standard output)"""
        assert self.process.stdout is not None
        code = self.process.wait(timeout_s)
        self._reader.join(10)
        with self.process.stdout as output:
            return code, output.read()

    @property
    def error(self) -> str:
        return "".join(self.lines)

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def remains(self) -> list[str]:
        """What is left of the run: processes (a moment is given to those that are going), folders, ports."""
        psutil.wait_procs(self.processes(), timeout=5)
        left = [f"process {process.pid}" for process in self.processes()]
        left += [f"folder {folder}" for folder in self.folders if Path(folder).exists()]
        for port in self.ports:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    left.append(f"port {port}")
        return left

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as error:
            for line in error:
                with self._grew:
                    self.lines.append(line)
                    self._grew.notify_all()
        with self._grew:
            self._ended = True
            self._grew.notify_all()


@contextmanager
def watched(*words: object, cwd: Path) -> Iterator[Watched]:
    """Kills whatever a failed test leaves."""
    run = Watched(*words, cwd=cwd)
    try:
        yield run
    finally:
        deadline = time.monotonic() + 10
        while (left := run.processes()) and time.monotonic() < deadline:
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)

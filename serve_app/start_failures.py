"""A start that fails, as one line with a stable code; its traceback and Ray's logs go into a folder that is named.

A replica that cannot start tells why as the text of an exception: that is all of it that Serve hands on. What our rooms
said travels in it as JSON, and `reason_in` reads it on the other side.
"""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from foundation.errors import CodedError

_MARK: Final = "replica failed to start: "
_SAID_BY_CODE: Final = {
    "ray_not_started": "Ray did not start",
    "application_not_started": "the application did not start",
}


class StartFailedError(RuntimeError):
    """Ray or the application did not start. code: ray_not_started, application_not_started, or what a replica said."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@contextmanager
def reasons_told() -> Iterator[None]:
    """Around what a replica does to start."""
    try:
        yield
    except CodedError as exc:
        raise RuntimeError(_MARK + json.dumps({"code": exc.code, "message": exc.message})) from None


def reason_in(text: str) -> tuple[str, str] | None:
    """(code, message) of what a replica said, from what Serve says of it."""
    _, mark, rest = text.partition(_MARK)
    if not mark:
        return None
    with suppress(ValueError, KeyError):
        told, _ = json.JSONDecoder().raw_decode(rest)
        return told["code"], told["message"]
    return None


def start_failed(code: str, exc: Exception, *, logs: Path, ray: Path | None = None) -> StartFailedError:
    """The error to raise for `exc`, once its traceback is in the folder `logs`, with the logs of the Ray that was
    started for it: `ray` is its temporary folder."""
    kept = _keep(exc, logs, ray)
    message = getattr(exc, "message", None)
    if not isinstance(getattr(exc, "code", None), str) or not isinstance(message, str):
        code, message = reason_in(str(exc)) or (code, f"{_SAID_BY_CODE[code]} ({type(exc).__name__})")
    else:
        code = exc.code  # type: ignore[attr-defined] # looked at above
    return StartFailedError(code, f"{message}; {kept}")


def _keep(exc: Exception, logs: Path, ray: Path | None) -> str:
    """Of the last failed start alone. Says where it is."""
    try:
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True, mode=0o700)
        (logs / "traceback.txt").write_text("".join(traceback.format_exception(exc)), encoding="utf-8")
        for folder in ray.glob("session_2*/logs") if ray is not None else ():  # not the link `session_latest`
            shutil.copytree(folder, logs / "ray", dirs_exist_ok=True, ignore_dangling_symlinks=True)
    except OSError as kept_not:
        return f"its log could not be kept in {logs} ({kept_not.strerror or type(kept_not).__name__})"
    return f"the log is in {logs}"

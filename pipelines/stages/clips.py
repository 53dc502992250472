"""Where the clips lie: `clips/ab/abcdef….wav` under the output folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipelines.storage import Folder

FOLDER: Final = "clips"
_NAME: Final = re.compile(r"clips/[0-9A-Za-z]{2}/[0-9A-Za-z_-]{4,80}\.wav")
_SAFE_ID: Final = re.compile(r"[0-9A-Za-z_-]{4,80}")


class ClipStore:
    """Writes, finds and removes clips. Knows nothing of what is in them: only stamped files come here."""

    def __init__(self, output: Folder) -> None:
        self._output = output

    def uri(self, clip_id: str) -> str:
        return self._output.uri_of(_name(clip_id))

    def write(self, clip_id: str, data: bytes) -> str:
        self._output.write(_name(clip_id), data)
        return self.uri(clip_id)

    def delete(self, clip_id: str) -> None:
        self._output.delete(_name(clip_id))

    def has(self, uri: str | None) -> bool:
        name = uri and self._output.name_of(uri)
        return bool(name and _NAME.fullmatch(name) and self._output.exists(name))

    def clip_ids(self) -> Iterator[str]:
        """Every clip in the folder; files that are not named like a clip are left alone."""
        for name in self._output.files(FOLDER, ".wav"):
            if _NAME.fullmatch(name):
                yield name.rsplit("/", 1)[1].removesuffix(".wav")


def _name(clip_id: str) -> str:
    if not _SAFE_ID.fullmatch(clip_id):
        raise ValueError("a clip id that is not a file name")
    # Two characters from the end: ids may share a prefix.
    return f"{FOLDER}/{clip_id[-2:]}/{clip_id}.wav"

"""Where the clips lie: `clips/ab/abcdef….wav` under the output folder, with `….opus.c2pa` beside a clip whose format
cannot carry its manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipelines.storage import Folder
from provenance.formats.catalogue import FORMATS, WAV, Format

FOLDER: Final = "clips"
SIDECAR: Final = ".c2pa"
_EXTENSIONS: Final = "|".join(sorted({re.escape(one.extension) for one in FORMATS.values()}))
_NAME: Final = re.compile(
    rf"clips/[0-9A-Za-z]{{2}}/(?P<id>[0-9A-Za-z_-]{{4,80}})(?:{_EXTENSIONS})(?P<beside>\.c2pa)?"
)
_SAFE_ID: Final = re.compile(r"[0-9A-Za-z_-]{4,80}")


class OutputClips:
    """Writes, finds and removes clips. Knows nothing of what is in them: only stamped files come here.

    form: of the clips that are written; clips of any format are found.
    """

    def __init__(self, output: Folder, form: Format = WAV) -> None:
        self._output = output
        self._form = form

    def uri(self, clip_id: str) -> str:
        return self._output.uri_of(self._name(clip_id))

    def uris(self, clip_id: str) -> tuple[str, ...]:
        """Of every file that a clip has."""
        uri = self.uri(clip_id)
        return (uri,) if self._form.embeds_manifest else (uri, uri + SIDECAR)

    def write(self, clip_id: str, data: bytes) -> str:
        self._output.write(self._name(clip_id), data)
        return self.uri(clip_id)

    def write_manifest(self, clip_id: str, manifest: bytes) -> None:
        """Before the clip: a clip that is there has its manifest."""
        self._output.write(self._name(clip_id) + SIDECAR, manifest)

    def delete(self, clip_id: str) -> None:
        self._delete(self._name(clip_id))

    def delete_at(self, uri: str) -> None:
        """A clip of an earlier run, which may have another format. Files that are no clip of ours are left alone."""
        name = self._output.name_of(uri)
        if name and _NAME.fullmatch(name):
            self._delete(name)

    def has(self, uri: str | None) -> bool:
        name = uri and self._output.name_of(uri)
        if not name or not _NAME.fullmatch(name) or not self._output.exists(name):
            return False
        return self._form.embeds_manifest or self._output.exists(name + SIDECAR)

    def clip_ids(self) -> Iterator[str]:
        """Every clip in the folder; files that are not named like a clip are left alone."""
        yield from dict.fromkeys(clip_id for clip_id, _ in self._files())

    def keep_only(self, clip_ids: frozenset[str]) -> None:
        """Delete every clip that is not named here, with what lies beside it."""
        for clip_id, name in list(self._files()):
            if clip_id not in clip_ids:
                self._output.delete(name)

    def _files(self) -> Iterator[tuple[str, str]]:
        for name in self._output.files(FOLDER, ""):
            if found := _NAME.fullmatch(name):
                yield found["id"], name

    def _delete(self, name: str) -> None:
        self._output.delete(name)
        if not self._form.embeds_manifest or self._output.exists(name + SIDECAR):
            self._output.delete(name + SIDECAR)

    def _name(self, clip_id: str) -> str:
        if not _SAFE_ID.fullmatch(clip_id):
            raise ValueError("a clip id that is not a file name")
        # Two characters from the end: ids may share a prefix.
        return f"{FOLDER}/{clip_id[-2:]}/{clip_id}{self._form.extension}"

"""A publisher with two narrators under consent, and scripts for them: what a narration needs to run."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import NarrateConfig
from pipelines.keyfile import write_key_file
from speech.config import EngineConfig
from tests.assets.installation import Installation, Tenant

PURPOSE = "narration.audiobook"
CLAIMS = (PURPOSE, "narration.elearning")


class Publisher(Tenant):
    """Its voices `anna` and `boris` are ids, and so are their consents. Its installation lies in `folder`/data; other
    processes open the same."""

    grantee = "Lantern Audiobooks"
    usual_claims = MappingProxyType({"territories": ("WORLD",), "channels": ("*",)})
    narrators_claims = MappingProxyType({"purposes": CLAIMS, "voices": ("*",)})

    def __init__(self, installation: Installation) -> None:
        super().__init__(installation, "lantern")
        write_key_file(self.key_file, self.keys["narrator"])
        self.anna = self.enrol("Anna", 190.0).voice_id
        self.boris = self.enrol("Boris", 110.0).voice_id
        self.anna_consent = self.consent_to(self.anna, PURPOSE, "narration.elearning")
        self.boris_consent = self.consent_to(self.boris, PURPOSE)

    @property
    def folder(self) -> Path:
        return self.data_dir.parent

    @property
    def key_file(self) -> Path:
        return self.folder / "narrator.key"

    def consent_to(self, voice_id: str, *purposes: str) -> str:
        """A consent for every language that the narrator's key is bound to; its id."""
        terms = self.terms(purposes=purposes, languages=("*",))
        recorded = self.service.consents.record(self.admin, voice_id=voice_id, terms=terms)
        self.service.tenants.bind_consent(self.admin, self.narrator.key_id, recorded.consent.consent_id)
        return recorded.consent.consent_id

    def narration(self, rows: list[dict[str, Any]] | None = None, **changes: Any) -> NarrateConfig:
        """A job over a script of `rows`, or over the one that was written before."""
        source = self.folder / "script.parquet"
        if rows is not None:
            write_script(source, rows)
        defaults: dict[str, Any] = {
            "input": str(source),
            "output": str(self.folder / "out"),
            "consent": self.config,
            "engine": EngineConfig(name="embedded"),
            "api_key_file": self.key_file,
            "purpose": PURPOSE,
        }
        return NarrateConfig(**defaults | changes)


def row(row_id: str, text: str | None = "The lamp was lit.", **columns: Any) -> dict[str, Any]:
    return {"id": row_id, "text": text, "language": "en", "voice": "preset:Vivian", **columns}


def write_script(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = dict.fromkeys(name for one in rows for name in one)
    columns = {name: pa.array([one.get(name) for one in rows], _TYPES.get(name)) for name in names}
    pq.write_table(pa.table(columns), path)
    return path


_TYPES = {
    **dict.fromkeys(("id", "text", "language", "voice", "purpose", "instruct"), pa.string()),
    "seed": pa.int64(),
}

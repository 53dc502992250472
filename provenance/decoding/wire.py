"""What goes between us and the process that takes an upload apart.

There: one line of JSON (`Ask`), then the file, then its sidecar. Back: frames of a kind, a length and a body:
`FOUND`, as many `SOUND` as there are blocks, `DONE`. JSON and float32 alone; nothing is unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from provenance.audio import Limits

FOUND: Final = b"F"
SOUND: Final = b"S"
DONE: Final = b"D"
HEAD: Final = struct.Struct(">cI")
LONGEST_JSON: Final = 256 * 1024
LONGEST_SOUND: Final = 4 * 1024 * 1024
LONGEST_ASK: Final = 64 * 1024
OUT_OF_MEMORY: Final = 3  # exit status


@dataclass(frozen=True, slots=True)
class Ask:
    """file, sidecar: bytes that follow. sidecar: None where the file speaks for itself."""

    anchor: str
    limits: Limits
    file: int
    sidecar: int | None

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Ask:
        told: dict[str, Any] = json.loads(line)
        return cls(**{**told, "limits": Limits(**told["limits"])})


def json_frame(kind: bytes, body: Mapping[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    if len(raw) > LONGEST_JSON:
        raise ValueError("longer than a frame may be")
    return HEAD.pack(kind, len(raw)) + raw

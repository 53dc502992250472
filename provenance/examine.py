"""The program that looks at other rooms' recordings for marks of synthetic speech: theirs come in, findings go out.

    python -P -m provenance.examine

A line of JSON ({"anchor": PEM of our root, "keys": {epoch: hex}, "sizes": […]}) and the files come in over standard
input, a line of JSON goes out: per file the marks that make it synthetic, and the clip that a manifest signed under
our root names. Runs until its input ends or nobody has asked for a while; writes nothing to a disk and nothing into
a log.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.audio import Limits
from provenance.decoding.pool import shared
from provenance.errors import AudioUnreadable
from provenance.keyed.search import find_mark
from provenance.presence import PRESENT, PresenceMark
from provenance.trust import TrustContext

# What is asked of us says how long to wait for the next question.
_IDLE_ENV: Final = "VOUCH_EXAMINER_IDLE_S"
_LIMITS: Final = Limits(max_seconds=120.0)


@dataclass(frozen=True, slots=True)
class Looked:
    """marks: presence_mark, keyed_mark, own_manifest, synthetic_manifest. presence: the detector's score, 0…1."""

    marks: tuple[str, ...]
    presence: float
    clip: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        return {"marks": list(self.marks), "presence": self.presence, "clip": self.clip}


def look(data: bytes, trust: TrustContext, keys: Mapping[int, bytes], presence: PresenceMark) -> Looked:
    """One file. keys: of our watermark, epoch → 32 bytes. Raises AudioUnreadable, AudioTooLarge or
    DecodingUnavailable."""
    # The keys are in this process; whoever took it over through a parser would have them.
    looked = shared().look(data, trust.anchor, limits=_LIMITS)
    if looked.recording is None:
        raise looked.refused or AudioUnreadable("the file holds no audio")
    reading, recording = looked.facts.reading, looked.recording
    score = presence.detect(recording.samples, recording.sample_rate)
    said = None if reading is None else reading.disclosure
    ours = reading is not None and reading.signer_trusted
    marks = {
        "presence_mark": score >= PRESENT,
        "keyed_mark": find_mark(recording.samples, recording.sample_rate, keys) is not None,
        # Ours even where it no longer verifies: a file that names us is no recording of a person.
        "own_manifest": looked.facts.names_us,
        "synthetic_manifest": reading is not None and reading.says_synthetic,
    }
    clip = None
    if reading is not None and said is not None and ours:
        intact = reading.state == "Trusted" and reading.asset_matches
        clip = {"clip_id": said.clip_id, "basis": said.basis, "intact": intact}
    return Looked(tuple(name for name, there in marks.items() if there), score, clip)


def main() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print; standard output belongs to the answers
    presence = PresenceMark()
    idle_s = float(os.environ.get(_IDLE_ENV, "300"))
    with os.fdopen(0, "rb", buffering=0) as raw:
        while select.select([raw], [], [], idle_s)[0]:
            line = _line(raw)
            if not line:
                return
            request = json.loads(line)
            files = [_exactly(raw, size) for size in request["sizes"]]
            try:
                trust = TrustContext(request["anchor"].encode("ascii"))
                keys = {int(epoch): bytes.fromhex(key) for epoch, key in request["keys"].items()}
                looked = [look(one, trust, keys, presence).to_json() for one in files]
                answer: dict[str, Any] = {"files": looked}
            except Exception as exc:  # noqa: BLE001 - its text may quote the input; its kind may not
                answer = {"failed": type(exc).__name__}
            left = memoryview(json.dumps(answer).encode() + b"\n")
            while left:
                left = left[os.write(answers, left) :]


def _line(raw: Any) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        # Byte by byte: what follows the line is a recording, and nothing of it may be read ahead.
        more = raw.read(1)
        if not more:
            return b""
        line += more
    return bytes(line)


def _exactly(raw: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = raw.read(min(size - len(data), 1 << 20))
        if not more:
            raise SystemExit(0)
        data += more
    return bytes(data)


if __name__ == "__main__":
    main()

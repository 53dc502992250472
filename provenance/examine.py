"""The program that looks at other rooms' recordings for marks of synthetic speech: theirs come in, findings go out.

    python -P -m provenance.examine

A request ({"anchor": PEM of our root, "keys": {epoch: hex}}) and the files come in, a frame of JSON goes out
(`foundation.worker_process`): per file the marks that make it synthetic, and the clip that a manifest signed under
our root names. Runs until its input ends or nobody has asked for a while; writes nothing to a disk and nothing into
a log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.worker_process import READY, answer, answers, requests
from provenance.audio import Limits
from provenance.decoding.pool import shared
from provenance.errors import AudioUnreadable
from provenance.keyed.search import find_mark
from provenance.presence import PRESENT, PresenceMark
from provenance.trust import TrustContext

_ANSWER: Final = b"A"
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
    descriptor = answers()
    presence = PresenceMark()
    answer(descriptor, READY)
    for request, files in requests():
        try:
            trust = TrustContext(request["anchor"].encode("ascii"))
            keys = {int(epoch): bytes.fromhex(key) for epoch, key in request["keys"].items()}
            told: dict[str, Any] = {"files": [look(one, trust, keys, presence).to_json() for one in files]}
        except Exception as exc:  # noqa: BLE001 - its text may quote the input; its kind may not
            told = {"failed": type(exc).__name__}
        answer(descriptor, _ANSWER, json.dumps(told).encode())


if __name__ == "__main__":
    main()

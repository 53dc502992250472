"""A program that looks for marks as the real one does, without its models: a file says itself what it is.

Behind its samples a test's file holds `MARK:name;` or `CLIP:id:basis:intact;`. A signed manifest is read for real.
Speaks the protocol of `foundation.worker_process`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from foundation.worker_process import READY, answer, answers, requests

    descriptor = answers()
    answer(descriptor, READY)
    for request, files in requests():
        told = {"files": [look(data, request["anchor"]) for data in files]}
        answer(descriptor, b"A", json.dumps(told).encode())


def look(data: bytes, anchor: str) -> dict[str, object]:
    marks = [name.decode() for name in re.findall(rb"MARK:([a-z_]+);", data)]
    found = re.search(rb"CLIP:([a-z0-9_]+):([a-z]+):([a-z]+);", data)
    clip = manifest(data, anchor) if b"c2pa" in data else None
    if found is not None:
        clip_id, basis, whole = (part.decode() for part in found.groups())
        clip = {"clip_id": clip_id, "basis": basis, "intact": whole == "intact"}
    return {"marks": marks, "clip": clip, "presence": 0.01}


def manifest(data: bytes, anchor: str) -> dict[str, object] | None:
    from provenance.reading import read_manifest
    from provenance.trust import TrustContext

    reading = read_manifest(data, TrustContext(anchor.encode()))
    if reading is None or reading.disclosure is None or not reading.signer_trusted:
        return None
    intact = reading.state == "Trusted" and reading.asset_matches
    return {"clip_id": reading.disclosure.clip_id, "basis": reading.disclosure.basis, "intact": intact}


if __name__ == "__main__":
    main()

"""A program that looks for marks as the real one does, without its models: a file says itself what it is.

Behind its samples a test's file holds `MARK:name` or `CLIP:id:basis:intact`. Speaks the protocol of
`consent_service.examination.process`, with the standard library alone.
"""

from __future__ import annotations

import json
import re
import sys


def main() -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        sizes = json.loads(line)["sizes"]
        files = [look(sys.stdin.buffer.read(size)) for size in sizes]
        sys.stdout.write(json.dumps({"files": files}) + "\n")
        sys.stdout.flush()


def look(data: bytes) -> dict[str, object]:
    marks = [name.decode() for name in re.findall(rb"MARK:([a-z_]+);", data)]
    found = re.search(rb"CLIP:([a-z0-9_]+):([a-z]+):([a-z]+);", data)
    clip = None
    if found is not None:
        clip_id, basis, whole = (part.decode() for part in found.groups())
        clip = {"clip_id": clip_id, "basis": basis, "intact": whole == "intact"}
    return {"marks": marks, "clip": clip, "presence": 0.01}


if __name__ == "__main__":
    main()

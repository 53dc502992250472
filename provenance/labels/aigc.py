"""The implicit label of GB 45438-2025 ("AIGC"): a JSON object in the file's metadata.

Annex E names its keys. `provenance.formats.encode` puts it where each format has a place for it.
"""

from __future__ import annotations

import json

from provenance.disclosure import Disclosure

GENERATED = "1"  # "is generated"; 2 and 3 are for those who only suspect it


def aigc_label(disclosure: Disclosure) -> str:
    """ASCII alone, because a RIFF chunk names no character set; names in other scripts are escaped as JSON has it."""
    return json.dumps(
        {
            "Label": GENERATED,
            "ContentProducer": disclosure.provider,
            "ProduceID": disclosure.clip_id,
            "ReservedCode1": "",  # the producer's own protection: the C2PA signature covers the label already
            "ContentPropagator": "",  # the platform that publishes it fills these in
            "PropagateID": "",
            "ReservedCode2": "",
        },
        separators=(",", ":"),
    )

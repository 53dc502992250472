"""The pinned Arrow schemas of a script and of its results.

A script holds what is to be said; a result holds where the clip is and under which consent it was made. A
result never holds a text, and a script never holds a token: consents are bound to the key that runs the
narration.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCRIPT: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # unique in the script
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),  # ISO 639-1
        pa.field("voice", pa.string(), nullable=False),  # a ledger voice id, "preset:NAME" or "design"
        pa.field("purpose", pa.string()),  # null: the run's purpose, else the key's only one
        pa.field("instruct", pa.string()),
        pa.field("seed", pa.int64()),
    ]
)
REQUIRED: Final = ("id", "text", "language", "voice")

RESULT: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # ok | refused | error
        pa.field("code", pa.string()),  # stable; null when ok
        pa.field("message", pa.string()),  # what to do about it
        pa.field("clip_id", pa.string()),
        pa.field("clip_uri", pa.string()),
        pa.field("audio_sha256", pa.string()),  # of the stamped file, hex
        pa.field("seconds", pa.float64()),
        pa.field("characters", pa.int64()),  # of the prepared text
        pa.field("language", pa.string()),
        pa.field("voice", pa.string()),
        pa.field("purpose", pa.string()),
        pa.field("consent_id", pa.string()),
        pa.field("consent_version", pa.int64()),
        pa.field("audit_leaf", pa.int64()),  # committed before the audio left
        pa.field("row_digest", pa.string(), nullable=False),  # over all that decides what is said
    ]
)

# A result on its way: a row whose fields were wrong lacks what a published result has.
STORED: Final = pa.schema([field.with_nullable(True) for field in RESULT])

# Between the gate and the engine: a result that is there already (status set), or what to say under which
# grant.
DECIDED: Final = pa.schema(
    [
        *STORED,
        pa.field("said_text", pa.string()),
        pa.field("said_instruct", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("grant", pa.string()),
        pa.field("start_by", pa.float64()),
    ]
)


def conform(table: pa.Table) -> pa.Table:
    """A batch of a checked script, cast to SCRIPT: missing optional columns are null, others are dropped."""
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in SCRIPT
    ]
    # Nulls in a required column are a fault of that row, told in its status: so the field says nullable here.
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in SCRIPT]))

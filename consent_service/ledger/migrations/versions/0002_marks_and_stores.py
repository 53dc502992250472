"""Watermark tags and fingerprints of clips, and the stores that hold what was derived from a voice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clips") as clips:
        clips.add_column(sa.Column("watermark_epoch", sa.Integer(), nullable=True))
        clips.add_column(sa.Column("watermark_tag", sa.Integer(), nullable=True))
        clips.add_column(sa.Column("fingerprint", sa.LargeBinary(), nullable=True))
        clips.create_index("clips_by_mark", ["watermark_epoch", "watermark_tag"], unique=True)
    op.create_table(
        "clip_stores",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("uri_sha256", sa.String(length=64), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("registered_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "uri_sha256"),
    )
    # Tags are drawn from one counter, under the tenant of the installation.
    counters = sa.table("counters", sa.column("tenant"), sa.column("name"), sa.column("value"))
    op.bulk_insert(counters, [{"tenant": "*", "name": "watermark", "value": 0}])

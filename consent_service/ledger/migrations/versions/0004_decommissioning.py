"""Decommissioning as a resumable run that ends in a certificate, and how long a voice is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("voices") as voices:
        voices.add_column(sa.Column("retain_until", sa.Float(), nullable=True))
    op.create_table(
        "decommissions",
        sa.Column("voice_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("step", sa.String(40), nullable=False),
        sa.Column("begun_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("voice_id"),
    )

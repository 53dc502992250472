"""Decommissioning as a resumable run that ends in a certificate, and how long a voice is kept."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from consent_service.ids import new_salt

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What must be erasable, and so must not be sampled into PostgreSQL's statistics, where no deletion reaches.
PERSONAL: Final = (
    ("subjects", "name"), ("subjects", "contact"), ("subject_links", "contact"), ("voices", "name"),
    ("voices", "said_salt"), ("enrolments", "note"), ("enrolments", "nonce"), ("consents", "revoked_reason"),
    ("revocations", "reason"), ("salts", "salt"),
)  # fmt: skip


def upgrade() -> None:
    with op.batch_alter_table("voices") as voices:
        voices.add_column(sa.Column("retain_until", sa.Float(), nullable=True))
        voices.add_column(sa.Column("said_salt", sa.LargeBinary(32), nullable=True))
    with op.batch_alter_table("log_heads") as heads:
        heads.add_column(sa.Column("said_salt", sa.LargeBinary(32), nullable=True))
    _give_salts("voices", "voice_id")
    _give_salts("log_heads", "tenant")
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
    if op.get_bind().dialect.name == "postgresql":
        for table, column in PERSONAL:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")


def _give_salts(name: str, key: str) -> None:
    table = sa.table(name, sa.column(key), sa.column("said_salt"))
    for row in op.get_bind().execute(sa.select(table.c[key])).all():
        mine = table.c[key] == row[0]
        op.get_bind().execute(sa.update(table).where(mine).values(said_salt=new_salt()))

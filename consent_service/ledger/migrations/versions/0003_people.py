"""People: what an enrolment proves, how a subject is reached and signs in, what a consent has used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("enrolments") as enrolments:
        # The sentence held the person's name; it is put together again from what is left (languages.py).
        enrolments.drop_column("sentence")
        enrolments.add_column(sa.Column("nonce", sa.String(64), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("grantee", sa.Text(), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("purpose", sa.String(64), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("evidence", sa.JSON(), nullable=True))
    with op.batch_alter_table("consents") as consents:
        consents.add_column(sa.Column("characters_used", sa.BigInteger(), nullable=False, server_default="0"))
        consents.add_column(sa.Column("evidence", sa.JSON(), nullable=True))
    with op.batch_alter_table("subjects") as subjects:
        subjects.add_column(sa.Column("contact", sa.Text(), nullable=False, server_default=""))
        subjects.add_column(sa.Column("contact_confirmed_at", sa.Float(), nullable=True))
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("subject_id", sa.String(64), nullable=True))
    op.create_table(
        "subject_links",
        sa.Column("link_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("link_id"),
    )

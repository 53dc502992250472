"""People: what an enrolment proves, how a subject is reached and signs in, what a consent has used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A voice may have further statements, for other grantees and purposes: its id is no longer unique here.
    names = {"uq": "%(table_name)s_%(column_0_name)s_key"}  # as PostgreSQL itself calls them
    with op.batch_alter_table("enrolments", naming_convention=names) as enrolments:
        enrolments.drop_constraint("enrolments_voice_id_key", type_="unique")
        enrolments.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="enrolment"))
        # The sentence held the person's name; it is put together again from what is left (languages.py).
        enrolments.drop_column("sentence")
        enrolments.add_column(sa.Column("nonce", sa.String(64), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("grantee", sa.Text(), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("purpose", sa.String(64), nullable=False, server_default=""))
        enrolments.add_column(sa.Column("evidence", sa.JSON(), nullable=True))
        enrolments.add_column(sa.Column("approved_at", sa.Float(), nullable=True))
    op.create_index("enrolments_by_voice", "enrolments", ["tenant", "voice_id"])
    op.create_table(
        "design_reports",
        sa.Column("clip_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("replica_id", sa.String(200), nullable=False),
        sa.Column("audio_sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("clip_id"),
    )
    with op.batch_alter_table("consents") as consents:
        consents.add_column(sa.Column("characters_used", sa.BigInteger(), nullable=False, server_default="0"))
        consents.add_column(sa.Column("evidence", sa.JSON(), nullable=True))
    with op.batch_alter_table("subjects") as subjects:
        subjects.add_column(sa.Column("contact", sa.Text(), nullable=False, server_default=""))
        subjects.add_column(sa.Column("contact_confirmed_at", sa.Float(), nullable=True))
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("subject_id", sa.String(64), nullable=True))
        keys.add_column(sa.Column("created_by", sa.String(64), nullable=True))
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
    # A person pages through the uses of their voices, latest first.
    op.drop_index("clips_by_voice", table_name="clips")
    op.create_index("clips_by_voice", "clips", ["tenant", "voice_id", "audit_leaf"])
    again = sa.text("reused_clip_id IS NOT NULL")
    op.create_index(
        "redemptions_by_reuse",
        "redemptions",
        ["tenant", "reused_clip_id"],
        sqlite_where=again,
        postgresql_where=again,
    )

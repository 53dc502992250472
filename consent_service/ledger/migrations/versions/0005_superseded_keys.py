"""Until where in a log a superseded key counts; and whose key answers for the installation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTALLATION = "installation"


def upgrade() -> None:
    op.create_table(
        "superseded_keys",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("public_key", sa.LargeBinary(32), nullable=False),
        sa.Column("log_size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "public_key"),
    )
    _name_who_installed()


def _name_who_installed() -> None:
    """The first tenant's first key: what every operator could do before, it alone can do now."""
    tenants = sa.table("tenants", sa.column("tenant"), sa.column("created_at"))
    keys = sa.table(
        "api_keys",
        *(sa.column(name) for name in ("key_id", "tenant", "label", "created_by", "created_at")),
        sa.column("roles", sa.JSON()),
    )
    bind = op.get_bind()
    first = bind.execute(
        sa.select(tenants.c.tenant).order_by(tenants.c.created_at, tenants.c.tenant).limit(1)
    ).scalar()
    where_row = (keys.c.tenant == first) & (keys.c.label == "bootstrap") & keys.c.created_by.is_(None)
    query = sa.select(keys.c.key_id, keys.c.roles).where(where_row).order_by(keys.c.created_at).limit(1)
    row = bind.execute(query).one_or_none()
    if row is not None:
        roles = [*row.roles, INSTALLATION]
        bind.execute(sa.update(keys).where(keys.c.key_id == row.key_id).values(roles=roles))

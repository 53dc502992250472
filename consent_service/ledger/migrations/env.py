"""Alembic's entry: migrate over the connection, and inside the transaction, that `ledger.schema` hands in."""

from __future__ import annotations

from alembic import context

from consent_service.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()

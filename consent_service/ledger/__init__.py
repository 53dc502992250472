"""The ledger database: SQLAlchemy Core; SQLite first, PostgreSQL by URL. No rule of consent lives here.

tables               every table
engine               connections; every database error becomes LedgerUnavailable
transaction          one transaction on one tenant
log                  the writer of the audit log (RFC 6962)
schema, migrations   Alembic
address              a URL without its password
"""

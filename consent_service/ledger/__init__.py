"""The ledger database: tables, connections and migrations. SQLAlchemy Core; SQLite first, PostgreSQL by URL.

No rule of consent lives here: this package knows how a transaction begins and ends, not what it is about.
"""

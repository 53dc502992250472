"""Rows of one tenant: which are meant, and the values that they hold. A condition that is made here names its tenant
(DESIGN I9)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, FromClause, RowMapping, and_, select

_T = TypeVar("_T")


def rows_of(table: FromClause, tenant: str, **columns: Any) -> ColumnElement[bool]:
    """The tenant's rows in which these columns hold these values."""
    return and_(table.c.tenant == tenant, *(table.c[name] == value for name, value in columns.items()))


def find_row(connection: Connection, table: FromClause, tenant: str, **columns: Any) -> RowMapping | None:
    """The one row that there may be."""
    query = select(table).where(rows_of(table, tenant, **columns))
    return connection.execute(query).mappings().one_or_none()


def find_value(connection: Connection, column: Column[_T], tenant: str, **columns: Any) -> _T | None:
    """One column of the one row that there may be."""
    return connection.execute(select(column).where(rows_of(column.table, tenant, **columns))).scalar()


def from_row(kind: type[_T], row: RowMapping, **others: Any) -> _T:
    """A dataclass whose fields are the columns of the same name; `others`: those that are stored in another form."""
    names = (field.name for field in fields(kind) if field.name not in others)  # type: ignore[arg-type]
    return kind(**{name: row[name] for name in names}, **others)

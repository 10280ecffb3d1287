"""Rows that may be there already: then they stay as they are, so that writing them again changes nothing."""

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def if_missing(table: Table, *key: str) -> dict[str, Insert]:
    """INSERT of a row, by dialect. `key`: columns by which it is there already; none: whatever stands in its way."""
    return {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(index_elements=key or None),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(index_elements=key or None),
    }

"""INSERT … ON CONFLICT, which SQLAlchemy offers only in each database's dialect."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_for(connection: Connection, table: Table) -> Any:
    """Return an INSERT of the connection's database; what follows it is the same for both."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)

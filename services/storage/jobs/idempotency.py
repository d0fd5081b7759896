"""Idempotency keys: the first answer is stored in the transaction that creates what was requested."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from contract.access import DEFAULT_PROJECT
from contract.errors import Invalid
from services.storage.database import Database
from services.storage.tables import idempotency

USED = "this Idempotency-Key was used with another request; use a new key for a new request"


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key of an API key (`owner`) in a project, with the SHA-256 (`digest`) of its request."""

    owner: str
    key: str
    digest: str
    project: str = DEFAULT_PROJECT


def known_answer(database: Database, project: str, owner: str, key: str) -> Any | None:
    """Return the answer to the first request with this key, whatever the request was; None if there was none."""
    with database.read() as connection:
        row = _row(connection, project, owner, key)
    return None if row is None else row["answer"]


def repeated_answer(database: Database, once: IdempotencyKey) -> Any | None:
    """Like `first_answer`, in a transaction of its own."""
    with database.read() as connection:
        return first_answer(connection, once)


def first_answer(connection: Connection, once: IdempotencyKey | None) -> Any | None:
    """Return the answer to the first request with this key; None if there was none.

    Raises Invalid if the key was used with another request.
    """
    if once is None:
        return None
    row = _row(connection, once.project, once.owner, once.key)
    if row is None:
        return None
    if row["digest"] != once.digest:
        raise Invalid(USED)
    return row["answer"]


def remember(connection: Connection, once: IdempotencyKey | None, answer: Any, database: Database) -> None:
    """Store the first answer; of two simultaneous requests the primary key admits one, and the other gets Conflict."""
    if once is not None:
        values = vars(once) | {"answer": answer, "created_at": database.now()}
        connection.execute(insert(idempotency).values(values))


def _row(connection: Connection, project: str, owner: str, key: str) -> RowMapping | None:
    columns = idempotency.c
    same_key = (columns.project == project) & (columns.owner == owner) & (columns.key == key)
    return connection.execute(select(idempotency).where(same_key)).mappings().one_or_none()

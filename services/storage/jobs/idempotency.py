"""Idempotency keys: the first answer is stored in the transaction that creates what was requested."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from contract.access import DEFAULT_PROJECT
from contract.errors import Invalid
from services.storage.database import Database
from services.storage.tables import idempotency


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key of an API key (`owner`) in a project, with the SHA-256 (`digest`) of its request."""

    owner: str
    key: str
    digest: str
    project: str = DEFAULT_PROJECT


def first_answer(connection: Connection, once: IdempotencyKey | None) -> Any | None:
    """Return the answer to the first request with this key; None if there was none.

    Raises Invalid if the key was used with another request.
    """
    if once is None:
        return None
    columns = idempotency.c
    same_key = (columns.project == once.project) & (columns.owner == once.owner) & (columns.key == once.key)
    row = connection.execute(select(idempotency).where(same_key)).mappings().one_or_none()
    if row is None:
        return None
    if row["digest"] != once.digest:
        raise Invalid("this Idempotency-Key was used with another request; use a new key for a new request")
    return row["answer"]


def remember(connection: Connection, once: IdempotencyKey | None, answer: Any, database: Database) -> None:
    """Store the first answer; of two simultaneous requests the primary key admits one, and the other gets Conflict."""
    if once is not None:
        values = vars(once) | {"answer": answer, "created_at": database.now()}
        connection.execute(insert(idempotency).values(values))

"""Idempotency keys: decided by a primary key, in the transaction that creates what was asked for."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from contract.errors import Invalid
from services.storage.database import Database
from services.storage.tables import idempotency


@dataclass(frozen=True)
class Once:
    """A client's promise that every request with this `key` is the same one; `digest` is the request's SHA-256."""

    owner: str
    key: str
    digest: str


def answered(connection: Connection, once: Once | None) -> Any | None:
    """The first answer, if there was one; raises Invalid when the key came with another request."""
    if once is None:
        return None
    mine = (idempotency.c.owner == once.owner) & (idempotency.c.key == once.key)
    row = connection.execute(select(idempotency).where(mine)).mappings().one_or_none()
    if row is None:
        return None
    if row["digest"] != once.digest:
        raise Invalid("this Idempotency-Key was used with another request; use a new key for a new request")
    return row["answer"]


def remember(connection: Connection, once: Once | None, answer: Any, database: Database) -> None:
    """Keep the first answer; of two first ones at the same moment the database refuses one, which is a Conflict."""
    if once is not None:
        values = {"owner": once.owner, "key": once.key, "digest": once.digest, "answer": answer}
        connection.execute(insert(idempotency).values(values | {"created_at": database.now()}))

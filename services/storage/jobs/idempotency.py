"""Idempotency keys: the first answer is stored in the transaction that creates what was requested."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from contract.errors import Invalid
from services.storage.database import Database
from services.storage.tables import idempotency


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key of an API key (`owner`), with the SHA-256 (`digest`) of the request that it identifies."""

    owner: str
    key: str
    digest: str


def first_answer(connection: Connection, once: IdempotencyKey | None) -> Any | None:
    """Return the answer to the first request with this key; None if there was none.

    Raises Invalid if the key was used with another request.
    """
    if once is None:
        return None
    same_key = (idempotency.c.owner == once.owner) & (idempotency.c.key == once.key)
    row = connection.execute(select(idempotency).where(same_key)).mappings().one_or_none()
    if row is None:
        return None
    if row["digest"] != once.digest:
        raise Invalid("this Idempotency-Key was used with another request; use a new key for a new request")
    return row["answer"]


def remember(connection: Connection, once: IdempotencyKey | None, answer: Any, database: Database) -> None:
    """Store the first answer; of two simultaneous requests the primary key admits one, and the other gets Conflict."""
    if once is not None:
        values = {"owner": once.owner, "key": once.key, "digest": once.digest, "answer": answer}
        connection.execute(insert(idempotency).values(values | {"created_at": database.now()}))

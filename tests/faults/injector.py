"""The only place that fails the N-th external call of a job: to the database, or to the object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from contract.artifacts import Bucket, ObjectRef
from contract.errors import DatabaseUnavailable, ObjectsUnavailable, Unavailable
from services.storage.database import Clock, Database
from services.storage.memory_objects import MemoryObjects


class How(StrEnum):
    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"  # done, but nobody is told
    DIED = "died"  # done, and then the attempt's process is gone


class Died(BaseException):
    """The attempt's process is gone at this point."""


@dataclass
class Injector:
    """Counts the calls between `arm` and the end of its block, and fails the one of a number."""

    number: int = 0
    how: How = How.REQUEST_LOST
    count: int = 0
    armed: bool = False

    @contextmanager
    def arm(self) -> Iterator[None]:
        self.armed = True
        try:
            yield
        finally:
            self.armed = False

    @contextmanager
    def call(self, away: type[Unavailable]) -> Iterator[None]:
        self.count += self.armed
        mine = self.armed and self.count == self.number
        if mine and self.how == How.REQUEST_LOST:
            raise away("away")
        yield
        if mine and self.how == How.REPLY_LOST:
            raise away("away")
        if mine and self.how == How.DIED:
            raise Died


class FaultyDatabase(Database):
    """A private SQLite in memory whose transactions are the injector's calls."""

    injector: Injector

    @classmethod
    def faulty(cls, injector: Injector, clock: Clock) -> "FaultyDatabase":
        database = cls.in_memory(clock)
        database.injector = injector
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.injector.call(DatabaseUnavailable), super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.injector.call(DatabaseUnavailable), super().write() as connection:
            yield connection


class FaultyObjects(MemoryObjects):
    """Objects in a dict whose reads and writes are the injector's calls."""

    def __init__(self, injector: Injector, clock: Clock) -> None:
        super().__init__(clock)
        self._injector = injector

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        with self._injector.call(ObjectsUnavailable):
            return super().put(bucket, key, source)

    def read(self, ref: ObjectRef) -> bytes:
        with self._injector.call(ObjectsUnavailable):
            return super().read(ref)

"""The time and the failures of the database and the object store."""

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError

from contract.artifacts import Bucket
from contract.errors import DatabaseUnavailable, NotFound, ObjectsUnavailable
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from tests.support.http_server import Handler, answering

REQUESTS, FAILURES = "object_store_request_seconds_count", "object_store_failures_total"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tidepool_{name}", labels) or 0.0


def transactions(mode: str) -> float:
    return value("database_transaction_seconds_count", mode=mode)


def test_transactions_are_measured() -> None:
    database, before = Database.in_memory(), {mode: transactions(mode) for mode in ("read", "write")}

    database.ping()
    with database.write():
        pass

    assert {mode: transactions(mode) - count for mode, count in before.items()} == {"read": 1, "write": 1}


def test_a_database_that_does_not_answer_is_counted() -> None:
    database, before = Database.in_memory(), value("database_failures_total")

    with pytest.raises(DatabaseUnavailable), database.read():
        raise OperationalError("SELECT 1", {}, ConnectionRefusedError())

    assert value("database_failures_total") == before + 1


class Missing(Handler):
    def do_HEAD(self) -> None:
        self.answer(404)


class Broken(Handler):
    def do_HEAD(self) -> None:
        self.answer(503)


@pytest.mark.parametrize(("handler", "failures"), [(Missing, 0), (Broken, 1)])
def test_requests_to_the_object_store_are_measured(handler: type[Handler], failures: int) -> None:
    requests, failed = (value(name, method="HEAD") for name in (REQUESTS, FAILURES))
    with answering(handler) as port:
        objects = S3Objects(ObjectsSettings(endpoint=f"http://127.0.0.1:{port}", access_key="a", secret_key="b"))

        with pytest.raises((NotFound, ObjectsUnavailable)):
            objects.size(Bucket.JOBS, "missing")

    assert value(REQUESTS, method="HEAD") == requests + 1
    assert value(FAILURES, method="HEAD") == failed + failures


def test_an_object_store_that_does_not_answer_is_counted() -> None:
    objects = S3Objects(ObjectsSettings(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b"))
    before = value(FAILURES, method="HEAD")

    with pytest.raises(ObjectsUnavailable):
        objects.ping()

    assert value(FAILURES, method="HEAD") == before + 1

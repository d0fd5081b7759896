"""Wake-up messages without a server: on Celery's in-memory transport, and to a closed port."""

import inspect
import json

import kombu.exceptions
import pytest
import redis.exceptions

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind
from messaging.broker import Broker, celery_app, mapped_errors
from messaging.settings import BrokerSettings
from tests.support.servers import free_port


def settings(url: str) -> BrokerSettings:
    return BrokerSettings.model_validate({"url": url})


UNUSED = {
    "HttpError",  # of the SQS transport
    *("RedisClusterException", "SlotNotCoveredError", "CrossSlotTransactionError", "InvalidPipelineStack"),
    *("IncorrectPolicyType", "ChildDeadlockedError"),  # of clusters and forked clients
}


def vendor_errors() -> list[type[Exception]]:
    """Every exception class of kombu and redis, except those of features that Tidepool does not use."""
    return [
        kind
        for module in (kombu.exceptions, redis.exceptions)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__ and name not in UNUSED
    ]


@pytest.mark.parametrize("kind", [*vendor_errors(), OSError, TimeoutError, ConnectionResetError], ids=str)
def test_every_error_of_kombu_and_redis_becomes_broker_unavailable(kind: type[Exception]) -> None:
    error = kind.__new__(kind)  # their constructors differ

    with pytest.raises(BrokerUnavailable), mapped_errors():
        raise error


def test_other_errors_are_not_mapped() -> None:
    with pytest.raises(ZeroDivisionError), mapped_errors():
        raise ZeroDivisionError


def test_the_wake_up_message_for_a_job_is_small_json() -> None:
    app = celery_app(settings("memory://"))

    Broker(app).wake(JobKind.TRAIN, "job-1")

    with app.connection() as connection:
        message = connection.SimpleQueue("trainer").get(timeout=1)
    assert message.content_type == "application/json"
    assert message.headers["task"] == "tidepool.run_job"
    assert message.payload[:2] == [["job-1"], {}]


def test_the_wake_up_message_for_batches_is_encoded_as_celery_does() -> None:
    message = json.loads(Broker(celery_app(settings("redis://127.0.0.1:1/0"))).wakeup_message("inference.batches"))

    assert message["headers"]["task"] == "tidepool.answer_batches"
    assert message["properties"]["delivery_info"]["routing_key"] == "inference.batches"


def test_a_closed_port_is_an_outage_and_its_address_is_not_shown() -> None:
    broker = Broker(celery_app(settings(f"redis://127.0.0.1:{free_port()}/0")))

    with pytest.raises(BrokerUnavailable) as caught:
        broker.wake(JobKind.TRAIN, "job-1")

    assert "127.0.0.1" not in caught.value.message

"""Bells without a server: into Celery's in-memory transport, and against a port that nobody listens on."""

import inspect
from collections.abc import Callable

import kombu.exceptions
import pytest
import redis.exceptions

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind
from runtime.broker import Broker, celery_app, mapped_errors
from runtime.settings import BrokerSettings
from tests.servers import free_port

RING: Callable[[Broker], None] = lambda broker: broker.ring(JobKind.TRAIN, "job-1")  # noqa: E731
CALL: Callable[[Broker], None] = lambda broker: broker.call("inference", "call-1", 12.5)  # noqa: E731


def settings(url: str) -> BrokerSettings:
    return BrokerSettings.model_validate({"url": url})


ELSEWHERE = {
    "HttpError",  # of the transport for SQS
    *("RedisClusterException", "SlotNotCoveredError", "CrossSlotTransactionError", "InvalidPipelineStack"),
    *("IncorrectPolicyType", "ChildDeadlockedError"),  # of clusters, too, and of forked clients
}


def vendor_errors() -> list[type[Exception]]:
    """Every exception that kombu and redis define, but for those of what Tidepool does not use."""
    return [
        kind
        for module in (kombu.exceptions, redis.exceptions)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__ and name not in ELSEWHERE
    ]


@pytest.mark.parametrize("kind", [*vendor_errors(), OSError, TimeoutError, ConnectionResetError], ids=str)
def test_whatever_a_vendor_raises_is_an_outage(kind: type[Exception]) -> None:
    error = kind.__new__(kind)  # their constructors differ

    with pytest.raises(BrokerUnavailable), mapped_errors():
        raise error


def test_a_bug_of_ours_is_no_outage() -> None:
    with pytest.raises(ZeroDivisionError), mapped_errors():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("send", "queue", "task", "args"),
    [
        (RING, "trainer", "tidepool.run_job", ["job-1"]),
        (CALL, "inference", "tidepool.answer_call", ["call-1", 12.5]),
    ],
)
def test_a_bell_is_a_small_json_message(
    send: Callable[[Broker], None], queue: str, task: str, args: list[object]
) -> None:
    app = celery_app(settings("memory://"))

    send(Broker(app))

    with app.connection() as connection:
        message = connection.SimpleQueue(queue).get(timeout=1)
    assert message.content_type == "application/json"
    assert message.headers["task"] == task
    assert message.payload[:2] == [args, {}]


@pytest.mark.parametrize("send", [RING, CALL])
def test_nobody_listens(send: Callable[[Broker], None]) -> None:
    broker = Broker(celery_app(settings(f"redis://127.0.0.1:{free_port()}/0")))

    with pytest.raises(BrokerUnavailable) as caught:
        send(broker)

    assert "127.0.0.1" not in caught.value.message

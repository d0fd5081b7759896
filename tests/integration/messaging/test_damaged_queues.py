"""A worker drops messages on its Celery queues that no service would send, and handles the next one."""

import bz2
import json
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from contract.jobs import JobKind
from messaging.broker import Broker, celery_app
from messaging.celery_transport import HEAR_BEAT, RUN_JOB, check
from messaging.settings import BrokerSettings
from tests.integration.messaging.conftest import QUEUES, until
from tests.support.servers import Server


def broker_of(url: str) -> Broker:
    return Broker(celery_app(BrokerSettings.model_validate({"url": url})))


GOOD: dict[str, Any] = json.loads(broker_of("redis://127.0.0.1:1/0").wakeup_message("trainer"))


def task(name: object = RUN_JOB, body: object = None, **headers: object) -> dict[str, Any]:
    """A message like Celery's, with other values."""
    then = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    encoded = b64encode(json.dumps([["job"], {}, then] if body is None else body).encode()).decode()
    return GOOD | {"body": encoded, "headers": GOOD["headers"] | {"task": name} | headers}


CHAIN = [["job"], {}, {"callbacks": [task()], "errbacks": None, "chain": [task()], "chord": None}]
DAMAGED: tuple[object, ...] = (
    *(None, 7, "text", [], {}, [[]], [GOOD], {"body": "x"}, {"properties": {}}, {"headers": {}, "properties": None}),
    *({name: value for name, value in GOOD.items() if name != missing} for missing in GOOD),
    *(GOOD | {name: value} for name in GOOD for value in (None, 7, [], "?")),
    *(task(name) for name in ("other", "celery.backend_cleanup", "", None, [], {}, 7)),
    *(task(body=body) for body in ("", {}, [], [[], {}], [["a", "b"], {}, {}], [[7], {}, {}], CHAIN)),
    task(HEAR_BEAT, [["x"], {}, {}]),
    task(body=[["job"], {"job": "x"}, {}]),
    *(task(eta=eta) for eta in ("2999-01-01T00:00:00+00:00", "never", 7)),
    *(task(expires=expires) for expires in ("2000-01-01T00:00:00+00:00", "never", -1)),
    *(task(compression=name) for name in ("application/x-bz2", "zlib", "none", [])),
    task(timelimit=[0.001, 0.001]),
    task(retries=7),
    task(group="x"),
    task(stamped_headers=["x"], stamps={"x": "y"}),
    task(id=["x"]),
    GOOD | {"body": b64encode(bz2.compress(b"0" * 100_000_000)).decode(), "headers": task()["headers"]},
    GOOD | {"content-type": "application/x-python-serialize", "content-encoding": "binary"},
    GOOD | {"properties": GOOD["properties"] | {"delivery_info": None}},
    GOOD | {"properties": GOOD["properties"] | {"body_encoding": "rot13"}},
)
NOT_JSON = (
    *(b"", b"garbage", b"\xff\xfe", b"{", b"[" * 200_000, b"1" * 10_000, b"NaN", b'{"a":' * 100_000),
    *(b'{"__type__": "datetime", "__value__": "x"}', b'{"__type__": "decimal", "__value__": "x"}', b" " * (1 << 20)),
)


@pytest.mark.parametrize("message", DAMAGED, ids=range(len(DAMAGED)))
def test_what_no_service_sends_is_no_message(message: object) -> None:
    with pytest.raises(ValueError):
        check(message)


def test_a_worker_outlives_damaged_messages_and_keys_of_another_type(
    server: Server, client: Any, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    broker, log = broker_of(server.url), tmp_path / "worker.log"

    def received(job: str) -> bool:
        return f"received {job}" in log.read_text()

    broker.wake(JobKind.TRAIN, "job-1")
    until(lambda: received("job-1"))

    # when there are damaged messages on both queues
    messages = [*NOT_JSON, *(json.dumps(message) for message in DAMAGED)]
    for queue in QUEUES:
        client.lpush(queue, *messages)
    broker.wake(JobKind.TRAIN, "job-2")

    # then each is dropped
    until(lambda: received("job-2") and not client.exists(*QUEUES))
    assert log.read_text().count("damaged message dropped") == 2 * len(messages)
    assert "received job\n" not in log.read_text()

    # and a queue that is not a list is deleted
    for queue in QUEUES:
        until(lambda queue=queue: client.set(queue, "text", nx=True))  # type: ignore[misc]
    until(lambda: not client.exists(*QUEUES))
    broker.wake(JobKind.TRAIN, "job-3")
    until(lambda: received("job-3"))
    assert worker.poll() is None

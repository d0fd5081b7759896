"""`--scale` up and down, while people predict."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.compose.engine import Deployment
from tests.pictures import png
from tidepool.client import Client
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose

# The replicas that told the gateways in the last 3 s that they live.
PRESENT = """
export REDISCLI_AUTH=$(cat /secrets/password)
redis-cli ZRANGEBYSCORE tidepool:inference:replicas $(($(redis-cli TIME | head -1) - 3)) +inf
"""


def test_three_replicas_and_one_again_without_a_failed_prediction(
    up: Deployment, client: Client, journey: Journey
) -> None:
    with _predicting(client, journey.model.name) as failures:
        up.compose("up", "--detach", "--no-recreate", "--scale", "inference=3")
        up.until_healthy()
        three = up.containers("inference")
        _until_present(up, 3)

        up.compose("up", "--detach", "--no-recreate", "--scale", "inference=1")
        _until_present(up, 1)

    assert len(three) == 3
    assert len(up.containers("inference")) == 1
    assert failures == []


def _until_present(deployment: Deployment, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(found := deployment.compose("exec", "-T", "redis", "sh", "-c", PRESENT).split()) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


@contextmanager
def _predicting(client: Client, model: str) -> Iterator[list[Exception]]:
    """Predict again and again beside what happens in the block; yields what went wrong."""
    failures: list[Exception] = []
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            try:
                client.predict(model, png())
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        yield failures
    finally:
        done.set()
        thread.join()

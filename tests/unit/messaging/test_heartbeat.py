"""A worker that stops consuming its heartbeats is detected."""

import pytest

from contract.errors import BrokerUnavailable
from messaging.heartbeat import DEAF_S, Heartbeat


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_worker_that_hears_its_beats_is_alive(time: Time) -> None:
    heartbeat = Heartbeat(send=lambda: None, clock=time)
    for _ in range(3):
        time.now += DEAF_S - 1
        assert heartbeat.beat()
        heartbeat.hear()


def test_a_worker_that_hears_no_beat_for_too_long_is_deaf(time: Time) -> None:
    heartbeat = Heartbeat(send=lambda: None, clock=time)
    time.now += DEAF_S - 1
    assert heartbeat.beat()
    time.now += 1
    assert not heartbeat.beat()


def test_no_worker_is_deaf_while_the_broker_is_unavailable(time: Time) -> None:
    def send() -> None:
        raise BrokerUnavailable("the broker does not answer")

    heartbeat = Heartbeat(send, clock=time)
    time.now += 10 * DEAF_S
    assert heartbeat.beat()

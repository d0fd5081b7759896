import pytest

from tidepool.simulate.gauge import Gauge, Seen


def test_averages_over_the_last_seconds() -> None:
    gauge = Gauge(interval_s=5.0)
    reads = [
        gauge.read(Seen(arrived, busy, seats=10), at=0, ready=1, waiting=0, leases=0, oldest_s=0)
        for arrived, busy in [(10, 10), (0, 5), (2, 0), (0, 0)]
    ]
    assert [read.busy for read in reads] == [1.0, 0.75, 0.25, 0.0]
    assert [read.requests_per_minute for read in reads] == pytest.approx([120, 60, 12, 12])


def test_no_replica_is_no_share() -> None:
    read = Gauge(2.0).read(Seen(), at=4, ready=0, waiting=3, leases=0, oldest_s=1.5)
    assert (read.busy, read.waiting, read.at, read.oldest_s) == (None, 3, 4, 1.5)

from tidepool.stack.backoff import Backoff


def test_it_doubles_up_to_half_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.delay(uptime=1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_never_overflows() -> None:
    backoff = Backoff()
    assert {backoff.delay(uptime=0) for _ in range(3000)} == {0.5, 1, 2, 4, 8, 16, 30}


def test_a_minute_of_health_is_a_new_start() -> None:
    backoff = Backoff()
    delays = [backoff.delay(uptime) for uptime in (1, 1, 1, 60, 1)]
    assert delays == [0.5, 1, 2, 0.5, 1]

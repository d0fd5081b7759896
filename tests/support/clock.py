"""A clock that stands still until a test advances it."""

from datetime import datetime, timedelta

from tests.examples import WHEN


class FakeClock:
    """A replacement for `services.storage.database.utc_now`."""

    def __init__(self, now: datetime = WHEN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

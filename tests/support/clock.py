"""The only clock of the tests that depend on time: it stands still until a test moves it."""

from datetime import datetime, timedelta

from tests.examples import WHEN


class FakeClock:
    """Called like `services.storage.database.utc_now`."""

    def __init__(self, now: datetime = WHEN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

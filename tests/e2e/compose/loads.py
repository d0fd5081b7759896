"""Load for the Compose checks: people who predict beside what a test does, and what went wrong for them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.images import png
from tidepool.client import Client


@contextmanager
def predicting(client: Client, model: str, people: int = 1) -> Iterator[list[Exception]]:
    """Each predicts again and again beside what happens in the block; yields what went wrong."""
    failures: list[Exception] = []
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            try:
                client.predict(model, png())
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=predict) for _ in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        done.set()
        for thread in threads:
            thread.join()


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Return when it holds; fails when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)

"""Load for the Compose tests: clients that predict while a test runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.images import png
from tidepool_client import Client


@contextmanager
def predicting(client: Client, model: str, clients: int = 1) -> Iterator[list[Exception]]:
    """Run clients that predict in a loop during the block; yields the list of their errors."""
    failures: list[Exception] = []
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            try:
                client.predict(model, png())
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=predict) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        done.set()
        for thread in threads:
            thread.join()


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Return as soon as the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)

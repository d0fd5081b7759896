"""Everything that a deployment does, in a few minutes: uploads, trainings, predictions, an overload, a lost worker."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.e2e.running import Running
from tests.support.images import encoded, noise, zipped
from tidepool_client import Client
from tidepool_client.errors import ClientError

LABELS = {"cat": (150, 90, 60), "dog": (80, 130, 70), "fox": (110, 100, 110)}
IMAGES = 500  # of each label
USUAL, CROWD = 3, 48  # clients that predict
WAITING = 24  # predictions that may wait; more are refused


def photo(label: str, seed: int) -> bytes:
    """Return a PNG of noise in which the colour of a label can just be seen."""
    pixels = noise(40, 40, seed=seed).astype(float) * 0.7 + np.array(LABELS[label]) * 0.5
    return encoded(pixels.clip(0, 255).astype(np.uint8))


def photos() -> dict[str, bytes]:
    """Return the files of a dataset."""
    return {f"{label}/{seed:03d}.png": photo(label, seed) for label in LABELS for seed in range(IMAGES)}


class Predictions:
    """Clients that predict, one request after the other."""

    def __init__(self, stack: Running, model: str) -> None:
        self._stack = stack
        self._model = model
        self._images = [photo(label, seed) for label in LABELS for seed in range(8)]

    def run(self, clients: int, seconds: float, pause: float = 0.0) -> None:
        """Predict with this many clients for a time; refusals are part of it."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(clients) as threads:
            for done in [threads.submit(self._client, number, until, pause) for number in range(clients)]:
                done.result()

    def _client(self, number: int, until: float, pause: float) -> None:
        with Client(self._stack.url, self._stack.key, retries=0) as client:
            while time.monotonic() < until:
                number += 1
                try:
                    client.predict(self._model, self._images[number % len(self._images)])
                except ClientError:
                    time.sleep(0.05)
                time.sleep(pause)


def run(stack: Running, folder: Path, say: Callable[[str], None]) -> None:
    """Run the load; it takes about four minutes on two cores."""
    with Client(stack.url, stack.key) as client:
        archive = zipped(folder / "pets.zip", photos())
        say("uploading and training")
        dataset = client.datasets.upload("pets", archive).wait().result["dataset"]
        client.train(dataset, "pets", epochs=5).wait()
        client.models.set_alias("pets", "production", 1)
        predictions = Predictions(stack, "pets@production")
        say("predicting and training")
        training = client.train(dataset, "pets", epochs=300)
        background = threading.Thread(target=predictions.run, args=(USUAL, 110.0, 0.02))
        background.start()
        time.sleep(20)
        client.evaluate("pets@1", dataset).wait()
        client.datasets.upload("pets", archive).wait()
        say("the trainer is killed")
        os.kill(stack.pid("trainer") or 0, signal.SIGKILL)
        background.join()
        say("too many predictions")
        client.pools.autoscale("inference", min=1, max=2, backlog_per_replica=8, quiet_s=10)
        predictions.run(CROWD, 25.0)
        predictions.run(USUAL, 40.0, 0.02)
        training.cancel()
        predictions.run(1, 10.0, 0.1)

"""The classic Keras example on the shards of a prepared data set; runs in the environment of Keras.

Usage: python keras_example.py REQUEST.json RESULT.json
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

started = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings and errors only
import keras  # noqa: E402  the time to import counts as part of the total

Arrays = tuple[np.ndarray, np.ndarray]


def split(shards: list[tuple[str, str]]) -> Arrays:
    """Return the images (n, height, width, channels) in 0..1 and the labels of a split."""
    images = np.concatenate([np.load(images) for images, _ in shards])
    labels = np.concatenate([np.load(labels) for _, labels in shards])
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).astype(np.float32) / 255, labels


def run(request: dict) -> dict:
    """Train the classic network and return its seconds and accuracy."""
    keras.utils.set_random_seed(request["seed"])
    images, labels = split(request["train"])
    model = keras.Sequential(
        [
            keras.layers.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(int(labels.max()) + 1, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    begin = time.perf_counter()
    model.fit(images, labels, batch_size=32, epochs=request["epochs"], verbose=2)
    seconds = time.perf_counter() - begin
    _, accuracy = model.evaluate(*split(request["test"]), verbose=0)
    status = Path("/proc/self/status").read_text().splitlines()
    return {
        "loop_s": seconds,
        "seconds": time.perf_counter() - started,
        "test": 100 * accuracy,
        "memory_mib": next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024,
        "method": f"Keras {keras.__version__} on TensorFlow {version('tensorflow-cpu')}",
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))))

"""Train on one and on two trainers of one thread each, and on a number that changes, on a stack of real processes."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.inference.facts import machine
from benchmarks.page import ran_on_list, table
from contract.images import ImageSpec
from contract.jobs import Job, JobState
from tests.faults.driver import Driver, ended
from tests.faults.elastic import SETTINGS, TRAINERS, helpers, publish_images, submit, told
from tests.faults.start import cluster

mpl.use("Agg")

from matplotlib import pyplot as plt

RESULTS = Path(__file__).parents[1] / "results"
TARGET = 1.7
SIDE = 64
RESNET = {
    "architecture": {"name": "resnet18"},
    "batch_size": 32,
    "epochs": 2,
    "optimizer": {"name": "adam", "lr": 1e-3},
}
CURVE_IMAGES, CURVE_EPOCHS = 1600, 60  # epochs of about a second, so that a replica comes and goes in the middle
WITHIN_S = 3600.0
Row = dict[str, Any]


def main() -> None:
    options = _options()
    speeds = {replicas: _speed(replicas, options.images) for replicas in (1, 2)}
    with _trainers((3, 32, 32), CURVE_IMAGES) as driver:
        curves = {
            "one replica": _train(driver, "alone", most=1, epochs=CURVE_EPOCHS),
            "changing replicas": _changing(driver),
        }
    ratio = speeds[2] / speeds[1]
    same = [_losses(row) for row in curves["one replica"]] == [_losses(row) for row in curves["changing replicas"]]
    options.output.mkdir(parents=True, exist_ok=True)
    _plot(curves, options.output / "elastic.png")
    ran_on = machine()
    lines = [
        "# Training on several replicas",
        "",
        *ran_on_list(ran_on),
        f"ResNet-18 at {SIDE} pixels, {options.images} images, batches of 32, one thread in each process:",
        "",
        *table(("replicas", ">images a second"), [(str(count), f"{speed:.2f}") for count, speed in speeds.items()]),
        f"Two are {ratio:.2f} × as fast as one; the target is {TARGET} ×.",
        "",
        "A second replica joins, is killed, and joins again, in a training of a small network. Its losses are "
        f"{'those of one replica, bit for bit' if same else 'NOT those of one replica'}.",
        "",
        "![replicas over time, and the losses](elastic.png)",
        "",
    ]
    (options.output / "elastic.md").write_text("\n".join(lines))
    document = {"ran_on": ran_on, "images_per_second": speeds, "ratio": ratio, "same_losses": same, "curves": curves}
    (options.output / "elastic.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"{ratio:.2f} × with two replicas; wrote elastic.md, elastic.json and elastic.png to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-elastic")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


@contextmanager
def _trainers(shape: tuple[int, int, int], images: int, count: int = 2) -> Iterator[Driver]:
    settings = SETTINGS | {"TIDEPOOL_TRAINERS_TIMEOUT_S": "10"}
    # durable: the small disk that can be filled has no room for checkpoints of ResNet-18.
    with cluster("sqlite", TRAINERS[:count], durable=True, settings=settings) as target:
        publish_images(target.stores, ImageSpec(size=shape[1:], mode="RGB"), images)
        driver = Driver(target)
        driver.wait_until_it_answers()
        yield driver
        driver.close()


def _speed(replicas: int, images: int) -> float:
    """Return the images that a training computes each second, the median of its epochs."""
    with _trainers((3, SIDE, SIDE), images, replicas) as driver:
        rows = _train(driver, "speed", most=replicas, least=replicas, **RESNET)
    return statistics.median(row["images_per_second"] for row in rows)


def _train(driver: Driver, model: str, **changes: Any) -> list[Row]:
    print(f"{time.strftime('%H:%M:%S')} training {model}, {changes}", flush=True)
    return _finish(driver, submit(driver, model, **changes))


def _finish(driver: Driver, job: Job) -> list[Row]:
    done = driver.until(job, ended, WITHIN_S)
    if done.state is not JobState.SUCCEEDED:
        raise SystemExit(f"the training has {done.state}: {done.error}")
    return list(told(driver, job).metrics)


def _changing(driver: Driver) -> list[Row]:
    """Train while a second replica joins, is killed and joins again."""
    helper = driver.cluster.processes["trainer-2"]
    helper.pause()
    print(f"{time.strftime('%H:%M:%S')} training while a second replica comes and goes", flush=True)
    job = submit(driver, "changing", epochs=CURVE_EPOCHS)

    def wait(condition: Callable[[list[int]], bool]) -> None:
        """Wait until a condition holds of the replicas of the epochs so far; stop if the training ends before."""
        driver.wait(lambda: condition(told(driver, job).replicas) or ended(driver.job(job)), WITHIN_S)
        if not condition(told(driver, job).replicas):
            raise SystemExit("the training ended before its replicas changed; raise CURVE_EPOCHS")

    wait(lambda replicas: len(replicas) >= 3)
    helper.resume()
    wait(lambda replicas: replicas[-3:] == [2, 2, 2])
    for lost in helpers(driver.cluster):
        lost.pause()
    wait(lambda replicas: replicas[-2:] == [1, 1])
    driver.cluster.heal()
    wait(lambda replicas: replicas[-1] == 2)
    return _finish(driver, job)


def _losses(row: Row) -> tuple[float, float]:
    return row["train_loss"], row["val_loss"]


def _plot(curves: dict[str, list[Row]], path: Path) -> None:
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 6), layout="constrained")
    for (name, rows), style in zip(curves.items(), ("-", "--"), strict=True):
        epochs = [row["epoch"] for row in rows]
        above.plot(epochs, [row["train_loss"] for row in rows], style, label=f"training, {name}")
        above.plot(epochs, [row["val_loss"] for row in rows], style, label=f"validation, {name}")
        below.step(epochs, [row["replicas"] for row in rows], style, where="mid", label=name)
    above.set_ylabel("loss")
    below.set_ylabel("replicas")
    below.yaxis.get_major_locator().set_params(integer=True)
    below.set_xlabel("epoch")
    for axis in (above, below):
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()

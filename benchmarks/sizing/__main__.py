"""Measure the CPU time of predictions, by process, for models and sizes of images."""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.inference.facts import machine
from benchmarks.inference.payloads import Body, Case
from benchmarks.inference.server import wait_for
from benchmarks.inference.subjects import ARCHITECTURES, Subject, export_subjects
from benchmarks.inference.tidepool_stack import Running, running
from benchmarks.inference.wrk import Request, drive
from benchmarks.sizing.processes import ROLES, cpu_seconds, memory_mib
from benchmarks.sizing.report import Cell, write
from tidepool_client import Client

SIZES = {"32 × 32": (32, 32), "224 × 224": (224, 224), "1 megapixel": (1280, 800), "12 megapixels": (4000, 3000)}
RESULTS = Path(__file__).parents[1] / "results"
WARM_UP_S = 1
SETTLE_S = 1.0  # until what wrk has sent and not waited for is computed
LARGE = 1 << 20  # bytes of a file, from which on fewer connections are enough


def main() -> None:
    options = _options()
    os.environ["TIDEPOOL_SPIN_MS"] = "0"  # or polling would count as work
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        subjects = export_subjects(options.models, Path(folder))
        with running(Case(subjects[0], "jpeg"), Path(folder)) as stack:
            _publish(stack, subjects[1:])
            cells = list(_measured(stack, subjects, options.seconds))
    how = (
        f"One embedded stack with a replica for each core. Images are sent by wrk as JPEG files for {options.seconds} "
        "s, over 16 connections (4 for files of a megabyte and more); the CPU time that the processes used meanwhile "
        "is divided by the images that were answered. A machine with a faster core needs less."
    )
    write(cells, how, machine(), options.output)
    print(f"wrote sizing.md and sizing.json to {options.output}")


def _publish(stack: Running, subjects: list[Subject]) -> None:
    with Client(stack.url, stack.key) as client:
        for subject in subjects:
            client.jobs.wait(client.models.upload(subject.name, subject.file).id)


def _measured(stack: Running, subjects: list[Subject], seconds: int) -> Iterator[Cell]:
    files = {name: _photo(*size) for name, size in SIZES.items()}
    for subject in subjects:
        for name, file in files.items():
            print(f"{subject.name}, {name}", flush=True)
            headers = {"Content-Type": "image/jpeg", "Authorization": f"Bearer {stack.key}"}
            request = Request(f"{stack.url}/v1/models/{subject.name}/predict", Body(headers, file))
            yield _cell(stack, request, subject.name, name, seconds)


def _photo(width: int, height: int) -> bytes:
    """A synthetic image of blurred blobs and noise, whose file is about as large as a photograph's."""
    random = np.random.default_rng(0)
    blobs = Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8))
    image = np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random.integers(-6, 7, (height, width, 1), np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(image + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def _cell(stack: Running, request: Request, model: str, images: str, seconds: int) -> Cell:
    connections = 16 if len(request.body.content) < LARGE else 4
    wait_for(request)
    drive(request, connections, WARM_UP_S)
    time.sleep(SETTLE_S)
    before = cpu_seconds(stack.home)
    measured = drive(request, connections, seconds)
    time.sleep(SETTLE_S)
    after = cpu_seconds(stack.home)
    answered = measured.per_s * seconds + connections  # wrk does not wait for the last ones
    return Cell(
        model=model,
        images=images,
        file_bytes=len(request.body.content),
        per_s=measured.per_s,
        cpu_ms={role: 1000 * (after[role] - before[role]) / answered for role in ROLES},
        memory_mib=memory_mib(stack.home),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=ARCHITECTURES, default=["cnn", "resnet18"], help="models")
    parser.add_argument("--seconds", type=int, default=8, help="duration of each of the measurements (8)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Train on a prepared data set as a training job does; see `child`."""

import shutil
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.page import Line
from benchmarks.training.child import MANIFEST, main, pairs, peak_mib
from benchmarks.training.objects import FolderObjects
from benchmarks.training.task import LocalTask
from contract.artifacts import Bucket
from contract.datasets import DatasetManifest
from services.trainer.worker import train as handler

TRAINED = "trained"  # prefix of the objects, which are deleted afterwards


def train(request: Line) -> Line:
    """Train as a training job does."""
    folder = Path(request["prepared"])
    dataset = DatasetManifest.model_validate_json((folder / MANIFEST).read_text())
    spec = {"dataset": "data", "model": "model"} | request["spec"]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        task = LocalTask(Path(scratch), FolderObjects(folder), spec, prefix=TRAINED, dataset=dataset)
        start_s = time.time() - psutil.Process().create_time()
        started = time.perf_counter()
        manifest = handler(task)  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
    shutil.rmtree(folder / Bucket.JOBS / TRAINED)
    metrics = {"val": manifest.metrics.val, "test": manifest.metrics.test} if manifest.metrics else {}
    variants = [variant.model_dump(exclude={"artifact"}) for variant in manifest.variants]
    return {
        "start_s": start_s,
        "seconds": seconds,
        "loop_s": sum(epoch.seconds for epoch in manifest.epochs),
        "memory_mib": peak_mib(),
        **{split: 100 * judged.accuracy for split, judged in metrics.items() if judged},
        "method": next((choice.value for choice in manifest.decisions if choice.what == "method"), "as requested"),
        "decisions": pairs(manifest.decisions),
        "epochs": task.epochs,
        "parameters": manifest.parameters,
        "device": manifest.device,
        "variants": variants,
        "serving": manifest.serving,
    }


if __name__ == "__main__":
    main(train)

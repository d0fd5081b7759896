"""Prepare an archive as a preprocessing job does; see `child`."""

import tempfile
import time
import uuid
from pathlib import Path

from benchmarks.page import Line
from benchmarks.training.child import MANIFEST, main, pairs, peak_mib
from benchmarks.training.objects import FolderObjects
from benchmarks.training.task import LocalTask
from contract.artifacts import Bucket
from contract.datasets import DatasetManifest
from services.preprocess.worker import preprocess


def prepare(request: Line) -> Line:
    """Prepare an archive as a preprocessing job does; writes manifest and objects into the folder `prepared`."""
    folder = Path(request["prepared"])
    objects = FolderObjects(folder)
    upload = objects.put(Bucket.UPLOADS, "upload", Path(request["archive"]))
    source = {"upload": str(uuid.UUID(int=0))}
    spec = {"dataset": "data", "source": source, "image": request["image"]}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        task = LocalTask(Path(scratch), objects, spec, prefix="prepared", upload=upload)
        started = time.perf_counter()
        manifest = task.run(preprocess)
        seconds = time.perf_counter() - started
    assert isinstance(manifest, DatasetManifest)
    objects.path(upload).unlink()
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return {
        "seconds": seconds,
        "memory_mib": peak_mib(),
        "counts": manifest.counts.model_dump(),
        "classes": len(manifest.classes),
        "shape": manifest.image.shape,
        "decisions": pairs(manifest.decisions),
        "warnings": [f"{warning.code}: {warning.count}" for warning in manifest.warnings],
    }


if __name__ == "__main__":
    main(prepare)

"""The task of a job on local files: what handlers of preprocessing and training get, without servers."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.training.objects import FolderObjects, Source
from contract.artifacts import Bucket, ObjectRef
from contract.datasets import DatasetManifest
from contract.division import Division, Outcome, PartDone
from contract.jobs import JobKind
from contract.references import Reference

REPORT_S = 15.0


class LocalTask:
    """A `worker.task.Task` for a benchmark.

    It stores objects below `prefix`. `upload` is the archive of a preprocessing job, `dataset` the data set of a
    training job.
    """

    def __init__(
        self,
        folder: Path,
        objects: FolderObjects,
        spec: dict[str, Any],
        *,
        prefix: str,
        upload: ObjectRef | None = None,
        dataset: DatasetManifest | None = None,
    ) -> None:
        self.folder = folder
        self.objects = objects
        self.job = SimpleNamespace(kind=JobKind.PREPROCESS if dataset is None else JobKind.TRAIN, spec=spec)
        self.datasets = self.models = self.uploads = self
        self.checkpoint: ObjectRef | None = None
        self.stop_early = False
        self.part: dict[str, Any] | None = None
        self.parts: tuple[dict[str, Any], ...] | None = None
        self._upload = upload
        self._dataset = dataset
        self._prefix = f"{prefix}/"
        self.epochs: list[tuple[float, float | None]] = []  # seconds since the start, and accuracy on validation
        self._started = time.monotonic()
        self._next = self._started + REPORT_S

    def run(self, handler: Callable[[Any], Outcome]) -> Outcome:
        """Run a handler to its end; if it divides its job, run the parts one after another."""
        outcome = handler(self)
        if not isinstance(outcome, Division):
            return outcome
        results, prefix = [], self._prefix
        for number, part in enumerate(outcome.parts):
            self.part, self._prefix = part, f"{prefix}part-{number}/"
            done = handler(self)
            assert isinstance(done, PartDone)
            results.append(done.result)
        self.part, self.parts, self._prefix = None, tuple(results), prefix
        return handler(self)

    def ref(self, _upload: str) -> ObjectRef | None:
        return self._upload

    def manifest(self, reference: Reference) -> tuple[Reference, DatasetManifest | None]:
        return Reference(name=reference.name, version=1), self._dataset

    def features(self, _dataset: str, _key: str) -> None:
        """Return no stored features: each training computes its own."""

    def log(self, message: str) -> None:
        pass

    def report(self, fraction: float, message: str) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + REPORT_S
            print(f"    {fraction:4.0%} {message}", file=sys.stderr, flush=True)

    def put(self, name: str, source: Source) -> ObjectRef:
        return self.objects.put(Bucket.JOBS, self._prefix + name, source)

    def save_checkpoint(self, name: str, source: Source, metrics: dict[str, Any] | None = None) -> None:
        """Store a checkpoint and delete the previous one, as an attempt does; note the time and the accuracy."""
        self.epochs.append((time.monotonic() - self._started, (metrics or {}).get("val_accuracy")))
        previous, self.checkpoint = self.checkpoint, self.put(name, source)
        if previous is not None:
            self.objects.path(previous).unlink()

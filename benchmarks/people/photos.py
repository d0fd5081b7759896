"""What a backbone sees in the photos of a data set, computed once and kept in a file."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.child import MANIFEST
from benchmarks.training.datasets import DATA_SETS
from benchmarks.training.objects import FolderObjects
from benchmarks.training.prepare import prepare
from benchmarks.training.task import LocalTask
from contract.datasets import DatasetManifest, Split
from contract.kinds.train import TrainSpec
from services.trainer import decisions
from services.trainer.data import ShardedImages
from services.trainer.evaluate import Runtime
from services.trainer.feature_source import FeatureSource
from services.trainer.features import extract
from services.trainer.probe import Labels, Matrix
from services.trainer.worker import Loaded, load, session_of

Labelled = tuple[Matrix, Labels]


@dataclass(frozen=True, eq=False)
class Photos:
    """Features (n, d) and labels (n,) of each split, in which a probe sees what a training's probe would see."""

    classes: tuple[str, ...]
    train: Labelled
    val: Labelled
    test: Labelled

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = {"classes": np.array(self.classes)}
        for name in ("train", "val", "test"):
            features, labels = getattr(self, name)
            arrays |= {f"{name}_features": features.astype(np.float16), f"{name}_labels": labels}
        np.savez(path, **arrays)

    @classmethod
    def of_file(cls, path: Path) -> "Photos":
        with np.load(path, allow_pickle=False) as arrays:
            splits = (
                (arrays[f"{name}_features"].astype(np.float32), arrays[f"{name}_labels"])
                for name in ("train", "val", "test")
            )
            return cls(tuple(arrays["classes"].tolist()), *splits)


def photos(name: str, data: Path, work: Path) -> Photos:
    """Return the features of a data set of `benchmarks.training.datasets`, from `work` if they are there.

    Raises MissingFile if the folder `data` has no such zip.
    """
    path = work / f"{name}.features.npz"
    if not path.exists():
        print(f"computing the features of {name}", flush=True)
        started = time.monotonic()
        _computed(name, data, work).save(path)
        print(f"  {time.monotonic() - started:.0f} s", flush=True)
    return Photos.of_file(path)


def _computed(name: str, data: Path, work: Path) -> Photos:
    """Prepare a data set and run the default backbone on its images, as jobs do."""
    archive = DATA_SETS[name].write(work / f"{name}.zip", data)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        prepared = Path(folder)
        prepare({"archive": str(archive), "image": {}, "prepared": folder})
        manifest = DatasetManifest.model_validate_json((prepared / MANIFEST).read_text())
        fields = {"dataset": "data", "model": "model"}
        task: Any = LocalTask(prepared, FolderObjects(prepared), fields, prefix="trained", dataset=manifest)
        spec = TrainSpec.model_validate(fields)
        with load(task, spec) as loaded:
            splits = _splits(task, spec, loaded)
    return Photos(manifest.classes, splits[Split.TRAIN], splits[Split.VAL], splits[Split.TEST])


def _splits(task: Any, spec: TrainSpec, loaded: Loaded) -> Mapping[Split, Labelled]:
    session = session_of(task, spec, loaded, time.monotonic())
    state = session.start(decisions.DEFAULT_BACKBONE)
    body = task.folder / "body.onnx"
    state.write_body(session.data.shape, session.labels, session.preprocessing_of(state), body)
    splits = FeatureSource(task, spec, session.data, None, body).features(None)
    test = ShardedImages(loaded.files[Split.TEST])
    with Runtime(body) as runtime:
        features = extract(runtime, test, np.arange(len(test)), task.folder, lambda _: None)
    return splits | {Split.TEST: (features.astype(np.float16).astype(np.float32), test.labels)}

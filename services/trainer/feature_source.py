"""The features that a probe is fitted to: cached, or computed on ONNX Runtime."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from contract.datasets import Split
from contract.images import Preprocessing
from contract.jobs import JobKind
from contract.kinds.train import TrainSpec
from contract.references import Reference
from contract.tracing import traced
from contract.training import FeatureFile
from services.trainer import decisions
from services.trainer.backbones.registry import BACKBONES
from services.trainer.data import IndexedImages, Indices, TrainingData
from services.trainer.evaluate import Runtime
from services.trainer.feature_cache import FeatureCache, features_key
from services.trainer.features import extract
from services.trainer.probe import Labels, Matrix
from worker.task import Task

EXTRACTED = 0.3  # the job's progress (0..1) when all features are there


@dataclass(frozen=True)
class FeatureSource:
    """The training and validation images of a job, and the ONNX file that computes their features."""

    task: Task
    spec: TrainSpec
    data: TrainingData
    index: IndexedImages | None
    body: Path

    @traced("features")
    def features(self, cache: FeatureCache | None) -> dict[Split, tuple[Matrix, Labels]]:
        """Return features and labels of both splits, of a random part of each if there are too many images."""
        splits = {Split.TRAIN: self.data.train, Split.VAL: self.data.val}
        samples = self.samples()
        total, done = sum(map(len, samples.values())), 0
        features = {}
        with Runtime(self.body) as runtime:
            for split, indices in samples.items():
                compute = partial(self._compute, runtime, split, indices, done, total)
                if not len(indices):
                    matrix = np.zeros((0, 1), np.float32)
                elif cache is not None and self.index is not None:
                    matrix = cache.complete(self.index.hashes(split, indices), compute)
                else:
                    matrix = compute(np.arange(len(indices))).astype(np.float16).astype(np.float32)
                features[split] = (matrix, splits[split].labels[indices])
                done += len(indices)
        return features

    def samples(self) -> dict[Split, Indices]:
        """Return the numbers of the images of both splits whose features are used."""
        rng = np.random.default_rng(self.spec.seed)
        most = decisions.most_features(self.spec)
        splits = {Split.TRAIN: self.data.train, Split.VAL: self.data.val}
        return {split: np.sort(rng.permutation(len(images))[:most]) for split, images in splits.items()}

    def cache(self, network: str, preprocessing: Preprocessing) -> FeatureCache | None:
        """Return the cache of what a backbone or model computes; None if the images have no index."""
        if self.index is None:
            return None
        weights = BACKBONES[network].digest if network in BACKBONES else network
        name = Reference.parse(self.spec.dataset).name
        return FeatureCache(self.task, name, features_key(weights, preprocessing), self._of_other_trials())

    def _of_other_trials(self) -> list[FeatureFile]:
        """Return the features that other trials of the same search or cross-validation have stored."""
        if self.task.job.kind != JobKind.TRIAL:
            return []
        results = (child.job.result or {} for child in self.task.children(self.task.job.parent))
        return [FeatureFile.model_validate(result["features"]) for result in results if result.get("features")]

    def _compute(
        self, runtime: Runtime, split: Split, indices: Indices, done: int, total: int, positions: Indices
    ) -> Matrix:
        def on_chunk(count: int) -> None:
            message = f"looking at the images · {done + count:,} of {total:,}"
            self.task.report(EXTRACTED * (done + count) / total, message)

        images = self.data.train if split is Split.TRAIN else self.data.val
        return extract(runtime, images, indices[positions], self.task.folder, on_chunk)

"""What an evaluation job refers to, and the images that it needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.datasets import DatasetManifest, Split
from contract.kinds.evaluate import EvaluateSpec
from contract.kinds.kind import Manifests
from contract.references import Reference
from contract.training import ModelManifest
from worker.slicing import Slice
from worker.task import Task


@dataclass(frozen=True)
class Evaluation:
    """A job's spec and the versions that it refers to; the baseline is the second model.

    The job's images are those of the split, then those of the validation split, if that is another one: they choose the
    temperature and the threshold of the model.
    """

    spec: EvaluateSpec
    reference: Reference
    dataset: DatasetManifest
    models: tuple[ModelManifest, ...]

    @classmethod
    def of(cls, task: Task) -> Self:
        """Look up what the job refers to; raises Invalid if it does not fit."""
        spec = EvaluateSpec.model_validate(task.job.spec)
        reference, dataset = task.datasets.manifest(Reference.parse(spec.dataset))
        models = {name: task.models.manifest(Reference.parse(name))[1] for name in spec.models}
        spec.check(Manifests({spec.dataset: dataset}, models))
        return cls(spec, reference, dataset, tuple(models[name] for name in spec.models))

    @property
    def splits(self) -> tuple[Split, ...]:
        has_validation = self.spec.split is not Split.VAL and self.dataset.shards.get(Split.VAL)
        return (self.spec.split, Split.VAL) if has_validation else (self.spec.split,)

    def splits_of(self, model: int) -> tuple[Split, ...]:
        """Return the splits that a model answers; the baseline needs no validation images."""
        return self.splits[:1] if model else self.splits

    @property
    def needs_originals(self) -> bool:
        """Whether a model takes images in another way than the dataset has them."""
        return any(model.card.preprocessing.image != self.dataset.image for model in self.models)

    def count(self, split: Split) -> int:
        return sum(shard.count for shard in self.dataset.shards[split])

    def __len__(self) -> int:
        return sum(map(self.count, self.splits))

    def slices(self, span: Slice) -> Iterator[tuple[Split, Slice]]:
        """Yield the slices of splits that a slice of the job's images consists of."""
        begin = 0
        for split in self.splits:
            end = begin + self.count(split)
            first, last = max(span.start, begin), min(span.stop, end)
            if first < last:
                yield split, Slice(start=first - begin, stop=last - begin)
            begin = end

    def truth(self, task: Task, split: Split) -> NDArray[np.str_]:
        """Fetch the classes of a split's images."""
        file = task.folder / "labels.npy"
        labels = [np.empty(0, np.int64)]
        for shard in self.dataset.shards[split]:
            task.objects.fetch(shard.labels, file)
            labels.append(np.load(file))
        return np.array(self.dataset.classes)[np.concatenate(labels)]

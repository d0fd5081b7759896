"""The logits of a model for labelled images, in memory and in the files of a job's parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split
from media.judging.tally import Tally
from media.judging.temperature import probabilities
from services.inference.engine.model import LoadedModel
from services.inference.judging.images import SplitImage

CHUNK = 4096  # rows in double precision at once
READ_AHEAD = 32  # images at once, even for a model that runs them one by one


@dataclass(frozen=True)
class Outputs:
    """The logits (n, classes) of a model, and the split and the number of each image."""

    splits: NDArray[np.str_]
    numbers: NDArray[np.int64]
    logits: NDArray[np.float32]

    def of_split(self, split: Split, count: int) -> NDArray[np.float32]:
        """Return the logits of a split of `count` images by number, NaN for an image without any."""
        mask = self.splits == split.value
        logits = np.full((count, self.logits.shape[1]), np.nan, np.float32)
        logits[self.numbers[mask]] = self.logits[mask]
        return logits


def run(model: LoadedModel, images: Iterator[SplitImage]) -> Iterator[Outputs]:
    """Yield the outputs of a model in batches; the logits of an image without pixels are NaN."""
    shape = model.card.preprocessing.image.shape
    while batch := list(islice(images, max(model.batch, READ_AHEAD))):
        good = [image.pixels for image in batch if image.pixels is not None]
        logits = np.full((len(batch), len(model.card.labels)), np.nan, np.float32)
        mask = np.array([image.pixels is not None for image in batch])
        logits[mask] = model.run(np.array(good, np.uint8).reshape(-1, *shape))
        yield Outputs(
            np.array([image.split.value for image in batch]), np.array([image.number for image in batch]), logits
        )


def joined(outputs: Sequence[Outputs]) -> Outputs:
    """Concatenate outputs of one model."""
    return Outputs(
        np.concatenate([output.splits for output in outputs]),
        np.concatenate([output.numbers for output in outputs]),
        np.concatenate([output.logits for output in outputs]),
    )


def save(outputs: Sequence[Outputs], path: Path) -> None:
    """Write the outputs of each model as .npz, for `load`."""
    arrays = {f"{name}-{model}": array for model, output in enumerate(outputs) for name, array in vars(output).items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path, models: int) -> list[Outputs]:
    with np.load(path, allow_pickle=False) as file:
        return [
            Outputs(*(file[f"{name}-{model}"] for name in ("splits", "numbers", "logits"))) for model in range(models)
        ]


@dataclass(frozen=True)
class Answers:
    """A model's logits (n, classes) for images, and their true class numbers (n,) among its labels."""

    labels: tuple[str, ...]
    logits: NDArray[np.float32]
    truth: NDArray[np.int64]

    @classmethod
    def of(cls, labels: tuple[str, ...], logits: NDArray[np.float32], classes: NDArray[np.str_]) -> Self:
        """Number the classes of the images by the model's labels, which have all of them."""
        names, inverse = np.unique(classes, return_inverse=True)
        numbers = np.array([labels.index(str(name)) for name in names], np.int64)
        return cls(labels, logits, numbers[inverse])

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Which images have an answer, as in serving: no logit is NaN or +infinity, and one is not -infinity."""
        return np.asarray(np.isfinite(self.logits.max(axis=1)))

    def only(self, mask: NDArray[np.bool_]) -> Self:
        return type(self)(self.labels, self.logits[mask], self.truth[mask])

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        return np.asarray(np.argmax(self.logits, axis=1))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.truth)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Softmax of the logits, in the precision of serving."""
        scores = np.empty_like(self.logits)
        for start in range(0, len(self), CHUNK):
            scores[start : start + CHUNK] = probabilities(self.logits[start : start + CHUNK])
        return scores

    @cached_property
    def tally(self) -> Tally:
        return Tally.of(self.logits, self.truth)

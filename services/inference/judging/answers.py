"""The logits of models for labelled images, in memory and in the files of a job's parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split
from media.judging.tally import Tally
from media.judging.temperature import probabilities
from services.inference.engine.model import LoadedModel
from services.inference.judging.images import Pixels

READ_AHEAD = 32  # images at once, even for a model that runs them one by one


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

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which images have an answer: no logit is NaN or +infinity."""
        with np.errstate(invalid="ignore"):
            scores = probabilities(self.logits)
        return np.logical_not(np.isnan(scores).any(axis=1))

    def only(self, mask: NDArray[np.bool_]) -> Self:
        return type(self)(self.labels, self.logits[mask], self.truth[mask])

    @property
    def predicted(self) -> NDArray[np.int64]:
        return np.asarray(np.argmax(self.logits, axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.truth)

    @property
    def tally(self) -> Tally:
        return Tally.of(self.logits, self.truth)


def run(model: LoadedModel, images: Iterator[Pixels | None]) -> Iterator[NDArray[np.float32]]:
    """Yield the logits (n, classes) of images, in batches; those of an image that is None are NaN."""
    shape = model.card.preprocessing.image.shape
    while batch := list(islice(images, max(model.batch, READ_AHEAD))):
        good = [pixels for pixels in batch if pixels is not None]
        logits = np.full((len(batch), len(model.card.labels)), np.nan, np.float32)
        mask = np.array([pixels is not None for pixels in batch])
        logits[mask] = model.run(np.array(good, np.uint8).reshape(-1, *shape))
        yield logits


Logits = dict[str, NDArray[np.float32]]
"""By `name_of`."""


def name_of(model: int, split: Split) -> str:
    """Return the name of the logits of a model (0, or 1 for the baseline) on a split, in a part's file."""
    return f"{split}-{model}"


def save(logits: Logits, path: Path) -> None:
    """Write the logits of a part as .npz; one of `load`."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **logits)


def load(path: Path) -> Logits:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def joined(parts: Sequence[Logits]) -> Logits:
    """Concatenate the logits of parts in order."""
    names = {name for part in parts for name in part}
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in sorted(names)}

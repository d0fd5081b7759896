"""The only place that runs a model over many pictures and keeps what it says."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from contract.base import Frozen, Whole
from contract.errors import BadImage
from media.classification import Tally
from services.inference.batch.rows import Row, write_lines
from services.inference.batch.sources import Item, Source
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import failed, results
from worker.slicing import Slice

OnBatch = Callable[[float, str], None]


class Classified(Frozen):
    """What a span of pictures came to; the tally is empty where their classes are not known to the model."""

    count: Whole
    failed: Whole
    tally: Tally


class Classifier:
    """A model on its way over a span of pictures; `on_batch(fraction, message)` may end the work by what it raises."""

    def __init__(self, model: LoadedModel, source: Source, span: Slice, top_k: int, on_batch: OnBatch) -> None:
        self._model = model
        self._items = source.items(span)
        self._total = len(span)
        self._top_k = top_k
        self._on_batch = on_batch
        index = {label: number for number, label in enumerate(model.card.labels)}
        self._numbers = index if comparable(source.classes, model.card.labels) else {}
        self._count = self._failed = 0
        self._tally = Tally()

    def run(self, path: Path) -> Classified:
        """Write a row for each picture as JSON lines."""
        write_lines(self._rows(), path)
        return Classified(count=self._count, failed=self._failed, tally=self._tally)

    def _rows(self) -> Iterator[Row]:
        while batch := list(islice(self._items, self._model.batch)):
            rows = self._batch(batch)
            self._count += len(rows)
            self._failed += sum(row.error is not None for row in rows)
            self._on_batch(self._count / self._total, f"{self._count} of {self._total} pictures")
            yield from rows

    def _batch(self, items: list[Item]) -> list[Row]:
        good = [item for item in items if not isinstance(item.pixels, BadImage)]
        pixels = np.array([item.pixels for item in good], np.uint8)
        logits = self._model.run(pixels.reshape(-1, *self._model.card.preprocessing.image.shape))
        answers = results(logits, self._model.card.labels, self._top_k)
        known = [
            number
            for number, (item, answer) in enumerate(zip(good, answers, strict=True))
            if item.label in self._numbers and answer.error is None
        ]
        if known:
            labels = np.array([self._numbers[good[number].label or ""] for number in known])
            self._tally += Tally.of(logits[known], labels)
        said = iter(answers)
        return [
            Row.of(item.image, item.label, failed(item.pixels) if isinstance(item.pixels, BadImage) else next(said))
            for item in items
        ]


def comparable(classes: tuple[str, ...], labels: tuple[str, ...]) -> bool:
    """Whether a model of these labels can be measured on pictures of these classes."""
    return bool(classes) and set(classes) <= set(labels)

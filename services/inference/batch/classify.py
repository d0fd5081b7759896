"""Classify the images of a source and write one row for each."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from contract.base import Frozen, Whole
from contract.errors import BadImage
from contract.jobs import JobKind
from media.judging.tally import Tally
from services.inference.batch.rows import PredictionRow, write_lines
from services.inference.batch.sources import ImageItem, ImageSource
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import failed_result, image_results
from services.inference.metrics import JOB_IMAGES
from worker.slicing import Slice

READ_AHEAD = 32  # images at once, even for a model that runs them one by one

OnBatch = Callable[[float, str], None]


class Classified(Frozen):
    """The totals of a slice of images; the tally is empty if the model lacks some of their classes."""

    count: Whole
    failed: Whole
    tally: Tally


class Classifier:
    """Classifies a slice of images; `on_batch(fraction, message)` is called per batch and may raise to stop."""

    def __init__(self, model: LoadedModel, source: ImageSource, span: Slice, top_k: int, on_batch: OnBatch) -> None:
        self._model = model
        self._items = source.items(span)
        self._total = len(span)
        self._top_k = top_k
        self._on_batch = on_batch
        index = {label: number for number, label in enumerate(model.card.labels)}
        self._numbers = index if has_all_labels(source.classes, model.card.labels) else {}
        self._count = self._failed = 0
        self._tally = Tally()

    def run(self, path: Path) -> Classified:
        """Write one row per image as JSON lines and return the totals."""
        write_lines(self._rows(), path)
        return Classified(count=self._count, failed=self._failed, tally=self._tally)

    def _rows(self) -> Iterator[PredictionRow]:
        while batch := list(islice(self._items, max(self._model.batch, READ_AHEAD))):
            rows = self._batch(batch)
            self._count += len(rows)
            JOB_IMAGES.labels(JobKind.PREDICT).inc(len(rows))
            self._failed += sum(row.error is not None for row in rows)
            self._on_batch(self._count / self._total, f"{self._count} of {self._total} images")
            yield from rows

    def _batch(self, items: list[ImageItem]) -> list[PredictionRow]:
        good = [item for item in items if not isinstance(item.pixels, BadImage)]
        pixels = np.array([item.pixels for item in good], np.uint8)
        card = self._model.card
        logits = self._model.run(pixels.reshape(-1, *card.preprocessing.image.shape))
        predicted = image_results(logits, card.labels, self._top_k, card.output)
        known = [
            number
            for number, (item, result) in enumerate(zip(good, predicted, strict=True))
            if item.label in self._numbers and result.error is None
        ]
        if known:
            labels = np.array([self._numbers[good[number].label or ""] for number in known])
            self._tally += Tally.of(logits[known], labels)
        remaining = iter(predicted)
        return [
            PredictionRow.of(
                item.image,
                item.label,
                failed_result(item.pixels) if isinstance(item.pixels, BadImage) else next(remaining),
                item.sha256,
            )
            for item in items
        ]


def has_all_labels(classes: tuple[str, ...], labels: tuple[str, ...]) -> bool:
    """Return whether metrics can be computed for images of `classes`: the model must have a label for each."""
    return bool(classes) and set(classes) <= set(labels)

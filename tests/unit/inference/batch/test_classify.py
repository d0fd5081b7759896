"""Classification of many images, with metrics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.errors import BadImage, Draining
from media.judging.tally import Tally
from services.inference.batch.classify import Classified, Classifier
from services.inference.batch.rows import PredictionRow, read_lines
from services.inference.batch.sources import ImageItem
from services.inference.engine.loader import ModelLoader
from tests.support.onnx_classifiers import SIZE, SOFTMAX, classifier, with_card
from tests.support.onnx_models import CARD, expected_logits, linear, random_images
from tests.support.prediction_data import WEIGHTS
from worker.slicing import Slice

IMAGES = random_images(10)
LABELS = np.arange(10) % 3
BAD = BadImage("the image is damaged")


class ListSource:
    """Images from a list."""

    def __init__(self, items: list[ImageItem], classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._all = items

    def __len__(self) -> int:
        return len(self._all)

    def items(self, span: Slice) -> Iterator[ImageItem]:
        yield from self._all[span.start : span.stop]


def items(classes: tuple[str, ...] = CARD.labels) -> list[ImageItem]:
    return [ImageItem(number, image, classes[LABELS[number]]) for number, image in enumerate(IMAGES)]


def classified(
    path: Path,
    images: list[ImageItem],
    classes: tuple[str, ...] = CARD.labels,
    model: bytes | None = None,
    top_k: int = 1,
) -> tuple[Classified, list[PredictionRow]]:
    loaded = ModelLoader(max_batch=4).load(model or linear(weights=WEIGHTS))
    span = Slice(start=0, stop=len(images))
    totals = Classifier(loaded, ListSource(images, classes), span, top_k, lambda *_: None).run(path / "rows")
    return totals, list(read_lines(path / "rows"))


@pytest.mark.parametrize("batch", ["N", 1, 3])
def test_a_model_that_gives_probabilities_has_the_scores_and_metrics_of_its_logits(
    tmp_path: Path, batch: str | int
) -> None:
    shape, output = (batch, 3, *SIZE), (batch, len(CARD.labels))
    probabilities = CARD.model_copy(update={"output": "probabilities"})

    totals, rows = classified(
        tmp_path, items(), model=with_card(classifier(SOFTMAX, shape=shape, output=output), probabilities), top_k=3
    )

    reference, expected = classified(tmp_path, items(), model=with_card(classifier(), CARD), top_k=3)
    assert totals.tally.taken == reference.tally.taken
    assert totals.tally.loss == pytest.approx(reference.tally.loss, rel=1e-5)
    for row, same in zip(rows, expected, strict=True):
        assert row.predictions is not None
        assert same.predictions is not None
        assert [best.label for best in row.predictions] == [best.label for best in same.predictions]
        np.testing.assert_allclose(
            [best.score for best in row.predictions], [best.score for best in same.predictions], rtol=1e-5
        )


def test_rows_and_tally_match_the_logits(tmp_path: Path) -> None:
    totals, rows = classified(tmp_path, items(), top_k=2)

    logits = expected_logits(IMAGES, WEIGHTS).astype(np.float32)
    expected = Tally.of(logits, LABELS)
    assert (totals.count, totals.failed) == (10, 0)
    assert (totals.tally.taken, totals.tally.in_top) == (expected.taken, expected.in_top)
    assert totals.tally.loss == pytest.approx(expected.loss, rel=1e-4)
    best = [CARD.labels[index] for index in logits.argmax(axis=1)]
    assert [(row.image, row.predictions[0].label) for row in rows if row.predictions] == list(enumerate(best))
    assert {len(row.predictions or ()) for row in rows} == {2}


def test_an_unreadable_image_fails_alone(tmp_path: Path) -> None:
    alone = classified(tmp_path, items())[1]

    totals, rows = classified(tmp_path, [*items()[:3], ImageItem("bad", BAD), *items()[3:]])

    assert (totals.count, totals.failed, totals.tally.count) == (11, 1, 10)
    assert rows[3].error is not None
    assert (rows[3].image, rows[3].error.code, rows[3].predictions) == ("bad", "bad_image", None)
    assert [row.image for row in rows[:3] + rows[4:]] == [row.image for row in alone]


def test_a_source_without_readable_images_gives_only_errors(tmp_path: Path) -> None:
    totals, rows = classified(tmp_path, [ImageItem(str(number), BAD) for number in range(5)])

    assert (totals.count, totals.failed, totals.tally, len(rows)) == (5, 5, Tally(), 5)


def test_nan_scores_count_as_failed(tmp_path: Path) -> None:
    totals, rows = classified(tmp_path, items(), model=linear(weights=np.full((144, 3), np.nan, np.float32)))

    assert (totals.failed, totals.tally) == (10, Tally())
    assert {row.error.code for row in rows if row.error} == {"bad_model"}
    assert [row.label for row in rows] == [CARD.labels[label] for label in LABELS]


@pytest.mark.parametrize("classes", [("dog", "owl", "cat"), ("cat", "dog", "emu")], ids=["other order", "unknown"])
def test_classes_are_compared_by_name(tmp_path: Path, classes: tuple[str, ...]) -> None:
    totals, rows = classified(tmp_path, items(classes), classes)

    assert [row.label for row in rows] == [classes[label] for label in LABELS]
    known = set(classes) <= set(CARD.labels)
    assert totals.tally.count == (10 if known else 0)
    if known:
        numbers = np.array([CARD.labels.index(classes[label]) for label in LABELS])
        assert totals.tally.taken == Tally.of(expected_logits(IMAGES, WEIGHTS).astype(np.float32), numbers).taken


def test_an_error_raised_by_the_callback_stops_the_work(tmp_path: Path) -> None:
    def drain(*_: object) -> None:
        raise Draining("the worker is draining")

    source = ListSource(items(), CARD.labels)
    classifier = Classifier(ModelLoader(max_batch=4).load(linear()), source, Slice(start=0, stop=10), 1, drain)

    with pytest.raises(Draining):
        classifier.run(tmp_path / "rows")

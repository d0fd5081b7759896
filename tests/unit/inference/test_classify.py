"""A model's answers to many pictures, and how good they are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.errors import BadImage, Draining
from media.classification import Tally
from services.inference.classify import Classified, Classifier
from services.inference.engine import Engine
from services.inference.row import Row, read_lines
from services.inference.sources import Item
from tests.support.onnx_models import CARD, expected_logits, linear, pictures
from tests.support.prediction_data import WEIGHTS
from worker.slicing import Slice

IMAGES = pictures(10)
LABELS = np.arange(10) % 3
BAD = BadImage("the image is damaged")


class Listed:
    """Pictures that are there already."""

    def __init__(self, items: list[Item], classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._all = items

    def __len__(self) -> int:
        return len(self._all)

    def items(self, span: Slice) -> Iterator[Item]:
        yield from self._all[span.start : span.stop]


def items(classes: tuple[str, ...] = CARD.labels) -> list[Item]:
    return [Item(number, image, classes[LABELS[number]]) for number, image in enumerate(IMAGES)]


def classified(
    path: Path, what: list[Item], classes: tuple[str, ...] = CARD.labels, model: bytes | None = None, top_k: int = 1
) -> tuple[Classified, list[Row]]:
    loaded = Engine(max_batch=4).load(model or linear(weights=WEIGHTS))
    span = Slice(start=0, stop=len(what))
    found = Classifier(loaded, Listed(what, classes), span, top_k, lambda *_: None).run(path / "rows")
    return found, list(read_lines(path / "rows"))


def test_rows_and_tally_are_of_the_models_logits(tmp_path: Path) -> None:
    found, rows = classified(tmp_path, items(), top_k=2)

    logits = expected_logits(IMAGES, WEIGHTS).astype(np.float32)
    expected = Tally.of(logits, LABELS)
    assert (found.count, found.failed) == (10, 0)
    assert (found.tally.taken, found.tally.in_top) == (expected.taken, expected.in_top)
    assert found.tally.loss == pytest.approx(expected.loss, rel=1e-4)
    best = [CARD.labels[index] for index in logits.argmax(axis=1)]
    assert [(row.image, row.predictions[0].label) for row in rows if row.predictions] == list(enumerate(best))
    assert {len(row.predictions or ()) for row in rows} == {2}


def test_a_picture_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    alone = classified(tmp_path, items())[1]

    found, rows = classified(tmp_path, [*items()[:3], Item("bad", BAD), *items()[3:]])

    assert (found.count, found.failed, found.tally.count) == (11, 1, 10)
    assert rows[3].error is not None
    assert (rows[3].image, rows[3].error.code, rows[3].predictions) == ("bad", "bad_image", None)
    assert [row.image for row in rows[:3] + rows[4:]] == [row.image for row in alone]


def test_nothing_readable_at_all(tmp_path: Path) -> None:
    found, rows = classified(tmp_path, [Item(str(number), BAD) for number in range(5)])

    assert (found.count, found.failed, found.tally, len(rows)) == (5, 5, Tally(), 5)


def test_an_answer_without_numbers_counts_as_failed(tmp_path: Path) -> None:
    found, rows = classified(tmp_path, items(), model=linear(weights=np.full((144, 3), np.nan, np.float32)))

    assert (found.failed, found.tally) == (10, Tally())
    assert {row.error.code for row in rows if row.error} == {"bad_model"}
    assert [row.label for row in rows] == [CARD.labels[label] for label in LABELS]


@pytest.mark.parametrize("classes", [("dog", "owl", "cat"), ("cat", "dog", "emu")], ids=["other order", "unknown"])
def test_classes_are_compared_by_name(tmp_path: Path, classes: tuple[str, ...]) -> None:
    found, rows = classified(tmp_path, items(classes), classes)

    assert [row.label for row in rows] == [classes[label] for label in LABELS]
    known = set(classes) <= set(CARD.labels)
    assert found.tally.count == (10 if known else 0)
    if known:
        numbers = np.array([CARD.labels.index(classes[label]) for label in LABELS])
        assert found.tally.taken == Tally.of(expected_logits(IMAGES, WEIGHTS).astype(np.float32), numbers).taken


def test_what_a_step_raises_ends_it(tmp_path: Path) -> None:
    def drain(*_: object) -> None:
        raise Draining("the worker is going away")

    source = Listed(items(), CARD.labels)
    classifier = Classifier(Engine(max_batch=4).load(linear()), source, Slice(start=0, stop=10), 1, drain)

    with pytest.raises(Draining):
        classifier.run(tmp_path / "rows")

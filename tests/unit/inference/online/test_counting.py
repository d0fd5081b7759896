"""Counting of answers and images, and what happens to the counts while the database is away."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from contract.drift import DriftCounts
from contract.errors import Conflict, DatabaseUnavailable, NotFound
from contract.inference import Answer, Artifact, Failure, Scores, Target
from media.drift.counting import bin_counts
from services.inference.online import counting
from services.inference.online.counting import PENDING, DriftCounting, Version
from tests.support.images import png

TODAY = date(2026, 1, 31)
PIXELS = np.full((3, 8, 8), 100, np.uint8)
CAT = Scores((("cat", 0.97), ("dog", 0.03)))
FAILED = Failure("bad_image", "the file is damaged")


class Counted:
    """A counting whose writes go to a dict, with a clock that stands still."""

    def __init__(self) -> None:
        self.stored: dict[tuple[Version, date], DriftCounts] = {}
        self.errors: list[Exception] = []
        self.writes = 0
        self.now = 1.0
        self.day = TODAY
        self.counting = DriftCounting(self._write, lambda: self.day, lambda: self.now)

    def _write(self, version: Version, day: date, counts: DriftCounts) -> None:
        self.writes += 1
        if self.errors:
            raise self.errors.pop()
        stored = self.stored.get((version, day))
        self.stored[version, day] = counts if stored is None else stored + counts

    def count(self, answers: Sequence[Answer], model: str = "pets", pixels: object = PIXELS) -> None:
        files, decoded = [png(3, height=30, width=40)] * len(answers), [pixels] * len(answers)
        self.counting.count(target(model), answers, files, decoded)

    def total(self, model: str = "pets", day: date = TODAY) -> DriftCounts:
        return self.stored[Version("lab", model, 2), day]


@pytest.fixture
def counted() -> Counted:
    return Counted()


def target(model: str) -> Target:
    return Target(model, 2, Artifact("jobs", "model.onnx", 1, "0" * 64), project="lab")


def test_answers_are_counted_by_version(counted: Counted) -> None:
    counted.count([CAT, FAILED, Scores((("dog", 0.5),))])
    counted.count([CAT])
    counted.count([CAT], model="birds")

    counted.counting.write()

    assert counted.total().classes == {"cat": 2, "dog": 1}
    assert counted.total().predictions == 3
    assert counted.total().confidence_sum == pytest.approx(2.44)
    assert (counted.total().confidence[19], counted.total().confidence[10]) == (2, 1)
    assert counted.total("birds").classes == {"cat": 1}


@pytest.mark.parametrize(("batch", "least", "most"), [(1, 2, 3), (20, 30, 41), (500, 30, 41)])
def test_a_part_of_the_images_is_measured(counted: Counted, batch: int, least: int, most: int) -> None:
    for _ in range(200):  # two seconds
        counted.count([CAT] * batch)
        counted.now += 0.01

    counted.counting.write()

    assert least <= counted.total().measured <= most
    brightness = np.flatnonzero(counted.total().brightness).tolist()
    assert brightness == np.flatnonzero(bin_counts("brightness", [100])).tolist()
    assert np.flatnonzero(counted.total().width).tolist() == np.flatnonzero(bin_counts("width", np.log2([40]))).tolist()
    assert sum(counted.total().height) == counted.total().measured


def test_an_image_that_could_not_be_decoded_is_not_measured(counted: Counted) -> None:
    counted.count([FAILED], pixels=FAILED)
    counted.counting.write()
    assert counted.stored == {}

    counted.now += 1
    counted.counting.count(target("pets"), [CAT], [b"not an image"], [PIXELS])
    counted.counting.write()
    assert (counted.total().predictions, counted.total().measured) == (1, 0)


def test_what_is_not_written_is_written_later(counted: Counted) -> None:
    counted.count([CAT])
    counted.count([CAT], model="birds")
    counted.errors = [DatabaseUnavailable("the database does not answer")]
    counted.counting.write()
    assert (counted.writes, counted.stored) == (1, {})  # the second version does not wait for an outage, too

    counted.day += timedelta(days=1)
    counted.count([CAT])
    counted.counting.write()

    assert counted.total().predictions == 1
    assert counted.total(day=counted.day).predictions == 1
    assert counted.total("birds").predictions == 1


def test_a_version_that_another_replica_writes_does_not_delay_others(counted: Counted) -> None:
    counted.count([CAT])
    counted.count([CAT], model="birds")
    counted.errors = [Conflict("another request changed the same data at the same time; try again")]

    counted.counting.write()
    assert len(counted.stored) == 1
    counted.counting.write()
    assert len(counted.stored) == 2


def test_an_unexpected_error_loses_no_counts(counted: Counted) -> None:
    counted.count([CAT])
    counted.count([CAT], model="birds")
    counted.errors = [ValueError("the stored row is invalid")]

    counted.counting.write()
    assert len(counted.stored) == 1  # the other version is written all the same
    counted.counting.write()
    assert (counted.total().predictions, counted.total("birds").predictions) == (1, 1)


def test_counts_of_a_deleted_version_are_dropped(counted: Counted) -> None:
    counted.count([CAT])
    counted.errors = [NotFound("there is no model pets@2")]

    counted.counting.write()
    counted.counting.write()

    assert (counted.writes, counted.stored) == (1, {})


def test_nothing_grows_without_bound_while_the_database_is_away(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_ENTRIES", 3)
    for number in range(5):
        counted.count([CAT], model=f"pets-{number}")
        counted.errors = [DatabaseUnavailable("the database does not answer")]
        counted.counting.write()

    counted.errors = []
    counted.counting.write()

    assert len(counted.stored) == 3


def test_answers_are_summed_up_when_there_are_many(counted: Counted) -> None:
    for _ in range(3):
        counted.count([CAT] * (PENDING // 2))

    assert sum(map(len, counted.counting._answers.values())) == PENDING // 2
    counted.counting.write()
    assert counted.total().predictions == 3 * PENDING // 2

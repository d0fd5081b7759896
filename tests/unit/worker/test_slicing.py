"""Division of a job's items into parts, and the setting for their size."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from worker import slicing
from worker.slicing import PartSettings, Slice, sliced


@pytest.mark.parametrize(("count", "most"), [(1, 1), (10, 3), (4097, 4096), (12, 4), (200_000, 4096)])
def test_parts_hold_every_item_once_and_differ_by_at_most_one(count: int, most: int) -> None:
    slices = [Slice.model_validate(part) for part in sliced(count, most).parts]

    assert [number for part in slices for number in range(part.start, part.stop)] == list(range(count))
    sizes = [len(part) for part in slices]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(slices) == -(-count // most)


@pytest.fixture
def not_warned_yet() -> Iterator[None]:
    slicing._warn_deprecated.cache_clear()
    yield
    slicing._warn_deprecated.cache_clear()


@pytest.mark.parametrize(
    ("environment", "expected", "warnings"),
    [
        ({}, 4096, 0),
        ({"TIDEPOOL_PART_IMAGES": "6"}, 6, 0),
        ({"TIDEPOOL_PART_PICTURES": "7"}, 7, 1),
        ({"TIDEPOOL_PART_IMAGES": "6", "TIDEPOOL_PART_PICTURES": "7"}, 6, 0),
    ],
    ids=["default", "new name", "old name", "the new name wins"],
)
@pytest.mark.usefixtures("not_warned_yet")
def test_the_old_name_of_the_setting_works_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int, warnings: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with capture_logs() as logs:
        settings = [PartSettings(), PartSettings()]

    assert [entry.part_images for entry in settings] == [expected, expected]
    assert len(logs) == warnings
    assert all(entry["log_level"] == "warning" and "TIDEPOOL_PART_IMAGES" in entry["event"] for entry in logs)


@pytest.mark.parametrize("name", ["TIDEPOOL_PART_IMAGES", "TIDEPOOL_PART_PICTURES"])
def test_a_part_of_no_images_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")

    with pytest.raises(ValidationError):
        PartSettings()

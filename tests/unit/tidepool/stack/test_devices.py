"""Which GPU a replica gets."""

from pathlib import Path

import pytest

from tidepool.stack.devices import device_of


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """What a driver shows of two GPUs."""
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_replicas_take_turns_at_the_gpus(two: Path) -> None:
    devices = [device_of(index, {}, two).get("TIDEPOOL_INFERENCE_DEVICE") for index in (1, 2, 3)]

    assert devices == ["0", "1", "0"]


@pytest.mark.parametrize(
    "environment",
    [
        {"CUDA_VISIBLE_DEVICES": ""},
        {"CUDA_VISIBLE_DEVICES": "1"},
        {"TIDEPOOL_INFERENCE_DEVICE": "1"},
    ],
    ids=str,
)
def test_where_there_is_no_choice_none_is_made(two: Path, environment: dict[str, str]) -> None:
    assert device_of(1, environment, two) == {}


def test_a_machine_without_a_driver(tmp_path: Path) -> None:
    assert device_of(1, {}, tmp_path / "none") == {}

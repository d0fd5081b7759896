"""Measurements are kept as lines of JSON, can be resumed, and become a page with the targets."""

from pathlib import Path

import pytest

from benchmarks.page import Line
from benchmarks.training.log import Log
from benchmarks.training.report import write
from benchmarks.training.rows import UnknownRow, selected
from benchmarks.training.targets import reached


def line(row: str, test: float, seed: int = 0, **fields: object) -> Line:
    prepared = {"seconds": 2.0, "memory_mib": 90.0, "counts": {"train": 80, "val": 10, "test": 10}, "decisions": []}
    trained = {"seconds": 20.0, "loop_s": 10.0, "memory_mib": 400.0, "test": test, "val": test, "method": "scratch"}
    return {"row": row, "seed": seed, "prepared": prepared} | trained | fields


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "training.jsonl")


def targets(log: Log) -> dict[str, tuple[str, bool]]:
    return {target.target: (target.reached, target.met) for target in reached(log)}


def test_a_log_that_is_opened_again_has_what_was_measured(log: Log, tmp_path: Path) -> None:
    log.add(line("digits", 98.0))
    log.add(line("digits", 99.0, seed=1))
    log.add({"row": "letters", "seed": 0, "error": "its process exited"})
    again = Log(tmp_path / "training.jsonl")
    assert again.values("digits", "test") == [98.0, 99.0]
    assert again.done("digits", 1)
    assert not again.done("digits", 2)
    assert not again.done("letters", 0)


def test_a_row_that_is_measured_again_replaces_its_line(log: Log, tmp_path: Path) -> None:
    log.add(line("digits", 50.0))
    log.add(line("digits", 99.0))
    assert log.values("digits", "test") == Log(tmp_path / "training.jsonl").values("digits", "test") == [99.0]


def test_nothing_given_may_lose_half_a_point_to_the_training_from_scratch(log: Log) -> None:
    for row, percent in (("digits", 98.5), ("letters", 98.4)):
        log.add(line(row, percent))
        log.add(line(f"{row}-default", 99.0))
    met = {target.partition(",")[0]: result for target, result in targets(log).items()}
    assert met == {"digits": ("98.5 against 99.0 %: -0.5", True), "letters": ("98.4 against 99.0 %: -0.6", False)}


def test_a_target_with_a_time_counts_preparation_and_training(log: Log) -> None:
    log.add(line("clothing", 90.0, seconds=57.0))
    log.add(line("clothing", 89.0, seed=1, seconds=59.0))
    ((text, met),) = targets(log).values()
    assert (text, met) == ("89.5 ± 0.7 % in 60 s", True)
    log.add(line("clothing", 89.0, seed=1, seconds=70.0))
    ((_, met),) = targets(log).values()
    assert not met


def test_the_overhead_is_the_ratio_of_the_medians(log: Log) -> None:
    log.add({"row": "cnn-overhead", "seed": 0, "loop_s": [10.4, 9.0, 30.0], "bare_s": [10.0, 10.0, 1.0]})
    assert list(targets(log).values()) == [("+4.0%", True)]


def test_names_select_rows_groups_and_what_they_follow() -> None:
    assert [row.name for row in selected(["digits*"])] == ["digits", "digits-default"]
    assert [row.name for row in selected(["cifar-as-keras"])] == ["keras", "cifar-as-keras"]
    assert {row.group for row in selected(["small"])} == {"small"}
    with pytest.raises(UnknownRow, match="there is no row or group letter; --list shows them"):
        selected(["letter", "digits"])


def test_the_page_has_a_row_of_each_training_its_decisions_and_what_failed(log: Log, tmp_path: Path) -> None:
    decisions = [("method", "scratch", "the request says so"), ("augment", {"flip": False, "shift": 0.0625}, "")]
    variants = [
        {"name": name, "size": 4096, "images_per_second": speed, "accuracy": 0.9}
        for name, speed in (("fp32", 100.0), ("int8", 300.0))
    ]
    log.add(line("digits", 98.0, decisions=decisions, variants=variants, serving="int8"))
    log.add(line("digits-default", 97.0, seed=0))
    log.add(line("scale-1000", 10.0, decisions=decisions))
    log.add({"row": "letters", "seed": 0, "error": "its process exited with status 1"})
    write(log, {"machine": "two cores"}, tmp_path)
    page = (tmp_path / "training.md").read_text()
    assert "| digits | nothing given | scratch | 1 | 98.0 | 98.0 | 2.0 | 20.0 | 400 |" in page
    assert (
        "* **digits**, nothing given: method scratch · augment (shift 0.0625)\n    * method: the request says so"
        in page
    )
    assert "| digits | nothing given | int8 | 4 | 300 | 3.00 | 90.0 | yes |" in page
    assert "| 100 | 20,000 | 125,000 | 250,000 | 90 | 400 |" in page
    assert "* letters, seed 0: its process exited with status 1" in page
    assert "* machine: two cores" in page
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")

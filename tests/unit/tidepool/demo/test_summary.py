import io

import pytest
from rich.console import Console

from tests.unit.tidepool.demo.results import demo_result
from tidepool.demo.summary import print_summary
from tidepool.demo.workflow import DemoResult, Step

SECONDS = {Step.START: 2.0, Step.UPLOAD: 0.5, Step.TRAIN: 10.0, Step.BATCH: 0.25}


def printed(result: DemoResult) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    print_summary(console, result, SECONDS)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "expected",
    [
        "Dataset pets@3",
        "41",
        "2 files rejected",
        "2 images are equal; remove one",
        "image.size   [32, 32]   the images have [32] pixels",
        "1 *",
        "50.0%",
        "123,456 parameters",
        "75.0% (top-5 100.0%, loss 0.600)",
        "1.5 MB",
        "Confusion matrix",
        "500 images: 80.0% right",
        "2,000 images/s, 0.25 s in all, on CPUExecutionProvider",
        "test/[/b]/2.jpg",
        "wrong",
    ],
)
def test_the_summary_shows(expected: str) -> None:
    assert expected in printed(demo_result())


def test_the_training_job_is_split_into_training_and_evaluation() -> None:
    lines = printed(demo_result()).splitlines()
    spent = [line.split("█")[0].split() for line in lines[lines.index("Where each second went") :]]
    assert ["Training", "7.00"] in spent
    assert ["Evaluating", "and", "exporting", "3.00"] in spent
    assert ["all", "12.75"] in spent


def test_a_dataset_without_a_test_split_has_no_accuracy() -> None:
    text = printed(demo_result(test=None))
    assert "has no test split" in text
    assert "Confusion" not in text

"""What notebooks show."""

import re

import pytest

from contract.base import Frozen
from contract.catalog import Alias
from tests.examples import (
    ALIAS,
    EVALUATION_REPORT,
    FOLD_REPORT,
    JOB,
    METRICS,
    PREPROCESS_RESULT,
    STUDY,
    TRAIN_RESULT,
    WHEN,
)
from tests.unit.clients.test_client import job
from tests.unit.tidepool.demo.results import demo_result
from tidepool_client import Job
from tidepool_client.views import (
    Dataset,
    DatasetVersion,
    EvaluationReport,
    Metrics,
    Model,
    ModelVersion,
    PreprocessResult,
    TrainResult,
)

DEMO = demo_result()
SEARCHED_RESULT = TRAIN_RESULT.model_copy(update={"study": STUDY, "folds": FOLD_REPORT})


def shown(kind: type, value: Frozen) -> str:
    view = kind.model_validate(value.model_dump(mode="json"), extra="ignore")
    return re.sub(r"<[^>]+>", " ", view._repr_html_())


@pytest.mark.parametrize(
    ("kind", "value", "texts"),
    [
        (Metrics, METRICS, ["accuracy", "50.0 %", "cat", "dog", "Confusion matrix"]),
        (EvaluationReport, EVALUATION_REPORT, [EVALUATION_REPORT.summary[0], "50.0 %"]),
        (PreprocessResult, PREPROCESS_RESULT, ["pets@1", "cat, dog", "train"]),
        (TrainResult, TRAIN_RESULT, ["pet-cnn@1", "because"]),
        (TrainResult, SEARCHED_RESULT, ["optimizer.lr", "0.01", "accuracy in 2 folds", "75.0% ± 5.0%"]),
        (DatasetVersion, DEMO.dataset, [DEMO.dataset.name, "class", *DEMO.dataset.classes]),
        (ModelVersion, DEMO.model, [DEMO.model.name, "ready"]),
        (Job, JOB, [JOB.id, "train", "succeeded"]),
    ],
)
def test_a_value_is_shown_as_html(kind: type, value: Frozen, texts: list[str]) -> None:
    html = shown(kind, value)
    for text in texts:
        assert text in html


def test_a_model_is_shown_with_its_aliases() -> None:
    shares = Alias.model_validate(ALIAS.model_dump() | {"alias": "canary", "versions": {1: 90, 2: 10}})
    model = Model(name="pets", versions=(3, 2, 1), rejected=(3,), aliases=(ALIAS, shares), created_at=WHEN)
    html = shown(Model, model)
    for text in ("pets@3", "rejected", "production, canary 90 %", "canary 10 %"):
        assert text in html


def test_a_dataset_is_shown_with_its_versions() -> None:
    assert "pets@2, pets@1" in shown(Dataset, Dataset(name="pets", versions=(2, 1), created_at=WHEN))


def test_a_running_job_has_a_progress_bar() -> None:
    assert "<progress value=" in Job.model_validate(job("running"))._repr_html_()


def test_texts_are_escaped() -> None:
    failed = Job.model_validate(job("failed", error={"code": "bad_dataset", "message": "<script>alert(1)</script>"}))
    assert "&lt;script&gt;" in failed._repr_html_()
    assert "<script>" not in failed._repr_html_()

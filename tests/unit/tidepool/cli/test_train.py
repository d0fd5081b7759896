"""`tidepool train`"""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from contract.catalog import Dataset
from contract.jobs import JobState
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from contract.search import FoldReport, Study
from tests.unit.clients.test_client import job
from tests.unit.tidepool.cli.conftest import Deployment, example, run
from tidepool.cli import following

METRICS: dict[str, Any] = {
    "accuracy": 0.95,
    "accuracy_interval": [0.764, 0.991],
    "top5_accuracy": None,
    "loss": 0.2,
    "confusion_matrix": [[9, 1], [0, 10]],
    "per_class": {
        "cat": {"precision": 1, "recall": 0.9, "f1": 0.9, "support": 10},
        "dog": {"precision": 0.9, "recall": 1, "f1": 0.9, "support": 10},
    },
}
RESULT = example(TrainResult, model="my-pets@1", metrics={"val": None, "test": METRICS}, training_images=None)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment that has the dataset `pets`, prepares uploads and trains."""
    deployment.on("GET", "/v1/datasets/pets", example(Dataset))
    prepared = example(PreprocessResult, dataset="my-pets@1", rejected=0, warnings=[])
    deployment.jobs("/v1/datasets/my-pets/versions", "preprocess", prepared)
    deployment.jobs("/v1/jobs", "train", RESULT)
    return deployment


def test_a_folder_is_uploaded_prepared_and_trained(deployment: Deployment, folder: Path) -> None:
    result = run("train", "./My Pets")

    assert result.code == 0
    assert deployment.paths[0] == "POST /v1/datasets/my-pets/versions"
    assert result.out.splitlines() == [
        "Dataset my-pets@1 is ready.",
        "  2 classes: cat, dog",
        "  4 images to train, 0 to validate, 2 to test",
        "  prepared as 32 by 32 pixels in color",
        "Model my-pets@1 is ready.",
        "  right on 95.0 % of 20 test images; on other images like these, expect 76.4 % to 99.1 %",
        "  weakest class: cat, right on 90.0 % of 10",
        "Next:",
        "  tidepool predict my-pets ./new/*.jpg  classify other photos",
        "  tidepool models show my-pets@1        see how good it is, class by class",
        "  tidepool promote my-pets@1            let it answer as my-pets@production",
    ]
    assert "Training: done" in result.err
    assert sent(deployment) == {"kind": "train", "spec": {"dataset": "my-pets@1", "model": "my-pets"}}


def test_a_dataset_is_trained_without_waiting(deployment: Deployment) -> None:
    result = run("train", "pets@2", "--name", "net", "--minutes", "10", "--spec", '{"init_from": "lite2"}')

    assert result.code == 0
    assert result.out.splitlines() == ["Training started: job train-1.", "Next:", "  tidepool jobs logs -f train-1"]
    spec = {"dataset": "pets@2", "model": "net", "init_from": "lite2", "budget": {"minutes": 10.0}}
    assert sent(deployment) == {"kind": "train", "spec": spec}


def test_a_training_is_followed_if_wished(deployment: Deployment) -> None:
    assert "Model my-pets@1 is ready." in run("train", "pets", "--follow").out
    assert run("train", "pets", "--follow", "--json").json["result"]["model"] == "my-pets@1"
    assert run("train", "pets", "--json").json["state"] == "queued"


def test_a_folder_need_not_be_followed(deployment: Deployment, folder: Path) -> None:
    assert run("train", folder, "--no-follow").out.splitlines()[-1] == "  tidepool jobs logs -f train-1"


def test_a_name_without_a_slash_is_the_dataset_if_there_is_one(deployment: Deployment, environment: Path) -> None:
    (environment / "pets").mkdir()

    result = run("train", "pets")

    assert sent(deployment)["spec"]["dataset"] == "pets"
    assert "write ./pets to upload the folder again" in result.err


def test_a_name_without_a_slash_is_a_folder_if_there_is_no_dataset(deployment: Deployment, folder: Path) -> None:
    assert run("train", "My Pets").code == 0

    folder.rename(folder.with_name("my-pets"))

    assert run("train", "my-pets").code == 0
    assert "POST /v1/datasets/my-pets/versions" in deployment.paths


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["./none"], "./none does not exist"),
        (["My Cats"], "My Cats does not exist"),
        (["none"], "There is no dataset none on the server, and no folder none here."),
        (["pets", "--spec", "[]"], "--spec is not a JSON object"),
        (["pets", "--spec", "{"], "--spec is not a JSON object"),
        (["pets", "--minutes", "0"], "--minutes"),
    ],
)
def test_wrong_usage_trains_nothing(deployment: Deployment, words: list[str], message: str) -> None:
    result = run("train", *words)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "POST /v1/jobs" not in deployment.paths


def test_a_training_that_fails_ends_with_its_reason(deployment: Deployment) -> None:
    error = {"code": "job_failed", "message": "the process was killed"}
    deployment.jobs("/v1/jobs", "train", state=JobState.FAILED, error=error)

    result = run("train", "pets", "--follow")

    assert (result.code, result.out) == (4, "")
    assert "`tidepool jobs retry train-1` runs it again." in result.err


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PAUSE_S", 0)
    away = httpx.Response(502, text="Bad Gateway")
    done = job(JobState.SUCCEEDED, id="train-1", result=RESULT)
    deployment.on("GET", "/v1/jobs/train-1", away, away, done)

    assert "Model my-pets@1 is ready." in run("train", "pets", "--follow").out


def test_a_server_that_stays_away_leaves_the_training_running(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE_S", -1)
    deployment.on("GET", "/v1/jobs/train-1", httpx.Response(502, text="Bad Gateway"))

    result = run("train", "pets", "--follow")

    assert (result.code, result.out) == (5, "")
    assert "The train job train-1 may go on.\n  follow it:  tidepool jobs logs -f train-1\n" in result.err


def test_ctrl_c_leaves_the_training_running(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    # Only that of the module: other threads of the process sleep, too.
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=interrupt)
    monkeypatch.setattr("tidepool_client._sync.jobs.time", clock)

    result = run("train", "pets", "--follow")

    assert (result.code, result.out) == (130, "")
    assert result.err.splitlines()[-3:] == [
        "Stopped following; the train job train-1 goes on.",
        "  follow it:  tidepool jobs logs -f train-1",
        "  stop it:    tidepool jobs cancel train-1",
    ]
    assert "POST /v1/jobs/train-1/cancel" not in deployment.paths


def test_a_model_without_test_images_is_judged_on_validation_or_not_at_all(deployment: Deployment) -> None:
    deployment.jobs("/v1/jobs", "train", RESULT | {"metrics": {"val": METRICS, "test": None}})
    assert "of 20 validation images" in run("train", "pets", "--follow").out
    deployment.jobs("/v1/jobs", "train", RESULT | {"metrics": {"val": None, "test": None}})
    assert "was not measured" in run("train", "pets", "--follow").out


def sent(deployment: Deployment) -> Any:
    """The body of the training's request."""
    return deployment.bodies_of("POST /v1/jobs")[0]


def test_a_search_is_sent_as_the_options_say(deployment: Deployment, environment: Path) -> None:
    (environment / "search.json").write_text('{"trials": 4, "over": {"epochs": [5, 9]}, "early_stop": "median"}')
    over = ["--over", "optimizer.lr=1e-4..1e-1:log", "--over", "architecture.name=cnn,resnet18"]
    more = ["--over", "augment.flip=true,false", "--over", "label_smoothing=0..0.2"]

    assert run("train", "pets", "--trials", "16", "--minutes", "20", "--objective", "val.loss", *over, *more).code == 0
    assert run("train", "pets", "--search", "search.json", "--trials", "8", "--ensemble", "3").code == 0

    first, second = (body["spec"] for body in deployment.bodies("POST"))
    assert first["search"] == {
        "trials": 16,
        "minutes": 20.0,
        "objective": "val.loss",
        "over": {
            "optimizer.lr": {"low": 0.0001, "high": 0.1, "log": True},
            "architecture.name": ["cnn", "resnet18"],
            "augment.flip": [True, False],
            "label_smoothing": {"low": 0, "high": 0.2},
        },
    }
    assert "budget" not in first
    assert second["search"] == {"trials": 8, "over": {"epochs": [5, 9]}, "early_stop": "median", "ensemble": 3}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "4"], "Say what to try, such as --over optimizer.lr=0.001..0.1:log."),
        (["--over", "epochs"], "--over epochs: write a field and what to try"),
        (["--over", "epochs=few..many"], "both ends of a range are numbers"),
        (["--search", "none.json"], "none.json cannot be read."),
        (["--folds", "1"], "--folds"),
        (["--ensemble", "3"], "Say what to try, such as --over optimizer.lr=0.001..0.1:log."),
    ],
)
def test_a_search_that_cannot_be_read_trains_nothing(deployment: Deployment, words: list[str], message: str) -> None:
    result = run("train", "pets", *words)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "POST /v1/jobs" not in deployment.paths


def test_the_trials_of_a_search_are_printed_at_its_end(deployment: Deployment) -> None:
    deployment.jobs("/v1/jobs", "train", RESULT | {"study": example(Study)})

    lines = run("train", "pets", "--follow", "--over", "optimizer.lr=0.001,0.01").out.splitlines()

    assert lines[0].split() == ["trial", "optimizer.lr", "val.accuracy", "epochs", "state"]
    assert lines[1].split() == ["3", "*", "0.01", "0.75", "1", "ended"]
    assert lines[2:4] == ["What matters: optimizer.lr 100.0 %", "Model my-pets@1 is ready."]


def test_the_trials_of_an_ensemble_are_marked(deployment: Deployment) -> None:
    study = example(Study)
    trials = [study["trials"][0] | {"number": number} for number in range(4)]
    deployment.jobs("/v1/jobs", "train", RESULT | {"study": study | {"trials": trials, "members": [3, 1]}})

    lines = run("train", "pets", "--follow", "--over", "optimizer.lr=0.001,0.01").out.splitlines()

    assert [line.split()[:2] for line in lines[1:5]] == [["0", "0.01"], ["1", "+"], ["2", "0.01"], ["3", "*"]]
    assert lines[5] == "The model averages the answers of trials 3 and 1."


def test_the_folds_are_summed_up(deployment: Deployment) -> None:
    deployment.jobs("/v1/jobs", "train", RESULT | {"folds": example(FoldReport)})

    result = run("train", "pets", "--follow", "--folds", "2")

    assert sent(deployment)["spec"]["folds"] == 2
    assert "  in 2 folds: right on 75.0 % ± 5.0 % of the images left out, macro F1 0.750 ± 0.050" in result.out

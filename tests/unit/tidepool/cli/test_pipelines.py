"""`tidepool pipelines`"""

import pytest

from contract.pipelines import Pipeline, PipelineRun
from tests.unit.tidepool.cli.conftest import Deployment, example, run

PIPELINE = example(Pipeline)
RUN = example(PipelineRun)
URL = "/v1/pipelines/pets-nightly"


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with one pipeline, which has run once."""
    deployment.on("GET", "/v1/pipelines", {"items": [PIPELINE], "next": None})
    deployment.on("POST", "/v1/pipelines", PIPELINE, status=201)
    deployment.on("GET", URL, PIPELINE)
    deployment.on("PATCH", URL, PIPELINE | {"paused": True})
    deployment.on("DELETE", URL, None, status=204)
    deployment.on("POST", f"{URL}/runs", RUN, status=202)
    deployment.on("GET", f"{URL}/runs", {"items": [RUN], "next": None})
    return deployment


def test_ls_shows_what_starts_each_pipeline_and_how_it_ended(deployment: Deployment) -> None:
    table = run("pipelines", "ls").out

    starts = "starts at 03:00 every day (UTC), or after 200 reviewed images, or when its requests drift"
    assert all(text in table for text in ("pets-nightly", "pet-cnn@production", starts, "promoted"))
    assert run("pipelines", "ls", "--json").json == [PIPELINE]


def test_ls_of_nothing_says_what_makes_one(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/pipelines", {"items": [], "next": None})

    assert "tidepool pipelines create" in run("pipelines", "ls").err


def test_show_says_what_the_gate_decided_and_why(deployment: Deployment) -> None:
    text = run("pipelines", "show", "pets-nightly").out

    assert (
        "gate: better by 0.5 percentage points, with 95 % confidence; a class may fall by 5 percentage points" in text
    )
    assert f"warning: {PIPELINE['warning']}" in text
    assert "started by labels: promoted" in text
    assert f"  {RUN['reason']}\n  {RUN['notes'][0]}" in text
    assert "champion: pet-cnn@1" in text
    assert f"train job: {RUN['train_job']}" in text
    assert run("pipelines", "show", "pets-nightly", "--json").json == {"pipeline": PIPELINE, "runs": [RUN]}


def test_create_sends_what_was_given_and_nothing_else(deployment: Deployment) -> None:
    named = ("pipelines", "create", "pets-nightly", "--model", "pet-cnn", "--dataset", "pets")
    options = ("--labels", 200, "--better-by", 0.01, "--train", '{"budget": {"minutes": 20}}', "--no-promote")

    created = run(*named, *options)

    assert f"warning: {PIPELINE['warning']}" in created.out
    assert "tidepool pipelines run pets-nightly" in created.out
    assert deployment.bodies("POST") == [
        {
            "name": "pets-nightly",
            "model": "pet-cnn",
            "dataset": "pets",
            "alias": "production",
            "promote": False,
            "when": {"labels": 200},
            "train": {"budget": {"minutes": 20}},
            "gate": {"better_by": 0.01},
        }
    ]


def test_create_refuses_more_labels_than_the_api_takes(deployment: Deployment) -> None:
    refused = run("pipelines", "create", "p", "--model", "m", "--dataset", "d", "--labels", "9" * 20)

    assert (refused.code, deployment.requests) == (2, [])
    assert "1000000" in refused.err


@pytest.mark.parametrize("train", ["{", "[]"])
def test_create_refuses_a_training_that_is_no_json_object(deployment: Deployment, train: str) -> None:
    refused = run("pipelines", "create", "p", "--model", "m", "--dataset", "d", "--train", train)

    assert (refused.code, deployment.requests) == (2, [])
    assert "JSON" in refused.err


def test_a_pipeline_is_run_paused_resumed_and_deleted(deployment: Deployment) -> None:
    assert "tidepool pipelines show pets-nightly" in run("pipelines", "run", "pets-nightly").out
    assert run("pipelines", "pause", "pets-nightly").out == "pets-nightly is paused.\n"
    run("pipelines", "resume", "pets-nightly")
    assert deployment.bodies("PATCH") == [{"paused": True}, {"paused": False}]
    assert "Deleted the pipeline pets-nightly." in run("pipelines", "rm", "pets-nightly", "--yes").err


def test_rm_asks_before_it_deletes(deployment: Deployment) -> None:
    kept = run("pipelines", "rm", "pets-nightly", typed="n\n")
    assert "Delete the pipeline pets-nightly with its list of runs? It cannot be brought back." in kept.err
    assert "Nothing was deleted." in kept.err
    assert f"DELETE {URL}" not in deployment.paths

    run("pipelines", "rm", "pets-nightly", typed="y\n")
    assert f"DELETE {URL}" in deployment.paths


def test_rm_without_a_terminal_needs_yes(deployment: Deployment) -> None:
    refused = run("pipelines", "rm", "pets-nightly")

    assert (refused.code, f"DELETE {URL}" in deployment.paths) == (2, False)
    assert "Add --yes" in refused.err

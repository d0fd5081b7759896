"""`tidepool predict`"""

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.tidepool.cli.conftest import Deployment, run

BAD = {"predictions": None, "error": {"code": "bad_image", "message": "not a readable image: text; leave it out"}}


def predictions(*pairs: tuple[str, float]) -> dict[str, Any]:
    return {"predictions": [{"label": label, "score": score} for label, score in pairs], "error": None}


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment that classifies two images, and then refuses a third."""
    results = [predictions(("cat", 0.9876), ("dog", 0.01)), predictions(("dog", 0.5), ("cat", 0.4)), BAD]
    deployment.on("POST", "/v1/models/pets/predict", {"results": results})
    return deployment


@pytest.fixture(autouse=True)
def images(environment: Path) -> None:
    for name in ("a.jpg", "longer.jpg", "notes.jpg"):
        (environment / name).write_bytes(name.encode())


def test_each_image_is_a_line_and_rejected_files_are_reported(deployment: Deployment) -> None:
    result = run("predict", "pets@production", "a.jpg", "longer.jpg", "notes.jpg", "--top-k", "2")

    assert result.code == 3
    assert result.out.splitlines() == ["a.jpg       cat 98.8 %, dog 1.0 %", "longer.jpg  dog 50.0 %, cat 40.0 %"]
    assert result.err.splitlines()[0] == "notes.jpg: not a readable image: text; leave it out"
    assert "2 images classified in" in result.err
    assert "1 file was rejected" in result.err
    (request,) = deployment.requests
    assert dict(request.url.params) == {"top_k": "2", "alias": "production"}


def test_json_is_a_line_for_each_file(deployment: Deployment) -> None:
    result = run("predict", "pets", ".", "--json")

    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["path"] for line in lines] == ["a.jpg", "longer.jpg", "notes.jpg"]
    assert lines[0] == {"path": "a.jpg", "predictions": predictions(("cat", 0.9876), ("dog", 0.01))["predictions"]}
    assert lines[2] == {"path": "notes.jpg", "error": BAD["error"]}


def test_a_csv_has_path_class_and_score(deployment: Deployment, environment: Path) -> None:
    result = run("predict", "pets", "a.jpg", "longer.jpg", "notes.jpg", "-k", "2", "--csv", "out.csv")

    with (environment / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert (result.code, result.out) == (3, "")
    assert rows == [
        ["path", "class", "score", "class_2", "score_2"],
        ["a.jpg", "cat", "0.987600", "dog", "0.010000"],
        ["longer.jpg", "dog", "0.500000", "cat", "0.400000"],
    ]
    assert "written to out.csv" in result.err


def test_a_csv_can_go_to_stdout(deployment: Deployment) -> None:
    deployment.on("POST", "/v1/models/pets/predict", {"results": [predictions(("cat", 0.9876))]})

    result = run("predict", "pets", "a.jpg", "--csv", "-")

    assert (result.code, result.out, result.err) == (0, "path,class,score\na.jpg,cat,0.987600\n", "")


def test_an_unknown_model_leaves_an_old_csv_alone(deployment: Deployment, environment: Path) -> None:
    (environment / "out.csv").write_text("old")

    result = run("predict", "none", "a.jpg", "--csv", "out.csv")

    assert (result.code, result.out) == (3, "")
    assert (environment / "out.csv").read_text() == "old"


def test_a_csv_that_cannot_be_written_is_named(deployment: Deployment) -> None:
    result = run("predict", "pets", "a.jpg", "longer.jpg", "notes.jpg", "--csv", "none/out.csv")

    assert (result.code, result.err.splitlines()[-1]) == (1, "none/out.csv: No such file or directory.")


def test_a_forgotten_model_is_wrong_usage(deployment: Deployment) -> None:
    result = run("predict", "./a.jpg", "longer.jpg")

    assert (result.code, deployment.requests) == (2, [])
    assert result.err == "./a.jpg is not the name of a model, which comes first: tidepool predict MODEL FILE…\n"


def test_json_and_csv_on_stdout_exclude_each_other(deployment: Deployment) -> None:
    assert run("predict", "pets", "a.jpg", "--csv", "-", "--json").code == 2
    assert deployment.requests == []


def test_an_image_over_the_limit_is_rejected_alone(deployment: Deployment) -> None:
    answer = httpx.Response(413, json={"status": 413, "code": "too_large", "detail": "the body exceeds 64 MiB"})
    deployment.on("POST", "/v1/models/pets/predict", answer)

    result = run("predict", "pets", "a.jpg", "longer.jpg")

    assert result.code == 3
    assert result.err.splitlines()[:2] == ["a.jpg: the body exceeds 64 MiB", "longer.jpg: the body exceeds 64 MiB"]


def test_control_characters_in_names_do_not_reach_the_terminal(deployment: Deployment, environment: Path) -> None:
    (environment / "a\x1b[31m.jpg").touch()
    deployment.on("POST", "/v1/models/pets/predict", {"results": [predictions(("c\x1b[0mat", 0.5))]})

    assert run("predict", "pets", "a\x1b[31m.jpg").out == "a\ufffd[31m.jpg  c\ufffd[0mat 50.0 %\n"

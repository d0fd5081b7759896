"""`tidepool pools` and `tidepool scale`"""

import pytest

from tests.unit.clients.test_client import POOL
from tests.unit.tidepool.cli.conftest import Deployment, run


def replicas(ready: int | None, created: int | None = None) -> dict[str, object]:
    return {"desired": 3, "created": created, "ready": ready, "draining": ready, "min": 0, "max": 4}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"mode": "manual", "replicas": replicas(2)}, "inference 3 2 2 4 1 2 s manual"),
        ({"mode": "auto", "replicas": replicas(None)}, "inference 3 ? ? 4 1 2 s auto 0..4"),
        ({"mode": "auto", "replicas": replicas(2, created=3)}, "inference 3 2 2 4 1 2 s auto 0..4"),
        ({"mode": "auto", "replicas": replicas(2, created=2)}, "inference 3 2 2 4 1 2 s auto 0..4, only 2 created"),
    ],
    ids=["manual", "auto", "enough created", "too few created"],
)
def test_each_pool_is_a_line(deployment: Deployment, fields: dict[str, object], line: str) -> None:
    deployment.on("GET", "/v1/pools", {"items": [POOL | fields], "next": None})

    head, text = run("pools").out.splitlines()

    assert head.split()[:3] == ["pool", "desired", "ready"]
    assert " ".join(text.split()) == line


def test_pools_as_json_have_the_fields_of_the_api(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/pools", {"items": [POOL], "next": None})

    assert run("pools", "--json").json[0]["queue"] == POOL["queue"]


def test_a_pool_is_scaled_and_autoscaled(deployment: Deployment) -> None:
    deployment.on("PATCH", "/v1/pools/inference", POOL)

    assert "inference" in run("scale", "inference", 3).out
    assert run("scale", "inference", "--auto", "--min", 0, "--json").json["name"] == "inference"

    assert deployment.bodies("PATCH") == [{"mode": "manual", "replicas": 3}, {"mode": "auto", "min": 0}]


@pytest.mark.parametrize("words", [[], ["3", "--auto"], ["3", "--min", "1"], ["--max", "4"]])
def test_scale_needs_either_a_number_or_auto(deployment: Deployment, words: list[str]) -> None:
    result = run("scale", "inference", *words)

    assert (result.code, deployment.requests) == (2, [])
    assert "tidepool scale inference 3" in result.err


def test_an_infinite_idle_time_is_refused() -> None:
    result = run("scale", "inference", "--auto", "--idle", "inf")

    assert result.code == 2
    assert "--idle" in result.err


@pytest.mark.parametrize("words", [["pools"], ["scale", "inference", "3"], ["scale", "inference", "--auto"]])
def test_pools_fail_when_nothing_runs(words: list[str]) -> None:
    result = run(*words)

    assert (result.code, result.out) == (1, "")
    assert "No stack is running in" in result.err

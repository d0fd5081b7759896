"""`tidepool projects` and `tidepool usage`"""

import pytest

from contract.jobs import JobState
from contract.projects import Project
from contract.usage import StorageUsage, Usage
from tests.unit.clients.test_client import job
from tests.unit.tidepool.cli.conftest import Deployment, example, run

LAB = example(Project)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with the project lab, and some usage."""
    deployment.on("GET", "/v1/projects", {"items": [LAB], "next": None})
    deployment.on("GET", "/v1/projects/lab", LAB)
    deployment.on("POST", "/v1/projects", LAB, status=201)
    deployment.on("DELETE", "/v1/projects/lab", None, status=204)
    deployment.on("GET", "/v1/usage", example(Usage))
    return deployment


def test_projects_are_listed_and_shown(deployment: Deployment) -> None:
    assert "What the lab has" in run("projects", "ls").out
    assert run("projects", "ls", "--json").json == [LAB]
    assert run("projects", "show", "lab").out.startswith("lab, created 2026-01-0")
    assert run("projects", "show", "lab", "--json").json == LAB


def test_a_project_is_created_with_the_next_step_and_deleted(deployment: Deployment) -> None:
    result = run("projects", "create", "lab", "--description", "What the lab has")

    assert "tidepool keys create ann --role admin --project lab" in result.out
    assert deployment.bodies("POST") == [{"name": "lab", "description": "What the lab has"}]
    assert run("projects", "rm", "lab").err == "Deleted the project lab.\n"


def test_a_project_is_purged_by_a_job_of_the_default_project(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_PROJECT", "other")
    deployment.on("DELETE", "/v1/projects/lab", job(id="j1"), status=202)
    deployment.on("GET", "/v1/jobs/j1", job(JobState.SUCCEEDED, id="j1"))

    result = run("projects", "rm", "lab", "--purge")

    assert (result.code, result.err.splitlines()[-1]) == (0, "Deleted the project lab.")
    assert dict(deployment.requests[0].url.params) == {"purge": "true"}
    assert {request.headers["Tidepool-Project"] for request in deployment.requests} == {"default"}


def test_usage_is_a_line_for_each_day(deployment: Deployment) -> None:
    result = run("usage", "--by", "day", "--since", "2026-01-02")

    assert result.out.splitlines()[-1].split() == (
        ["2026-01-02", "2.0", "min", "30.5", "s", "12.2", "s", "0.0", "s", "192.0", "h"]
    )
    assert dict(deployment.requests[0].url.params) == {"since": "2026-01-02", "by": "day"}
    assert run("usage", "--json").json == example(Usage)
    assert run("usage", "--since", "yesterday").code == 2


def test_storage_is_a_line_for_each_category(deployment: Deployment) -> None:
    stored = example(StorageUsage)
    deployment.on("GET", "/v1/usage/storage", stored)

    lines = run("usage", "--storage").out.splitlines()

    assert len(lines) == 3 + len(stored["categories"])
    assert lines[-1].split()[:2] == ["all", str(stored["objects"])]
    assert run("usage", "--storage", "--json").json == stored

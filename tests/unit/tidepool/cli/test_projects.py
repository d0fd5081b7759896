"""`tidepool projects` and `tidepool usage`"""

import re
from typing import Any

import pytest

from contract.jobs import JobState
from contract.projects import Project, Quotas
from contract.usage import StorageUsage, Usage
from tests.unit.clients.test_client import job
from tests.unit.tidepool.cli.conftest import Deployment, example, run

LAB = example(Project)
VERSIONS = LAB["retention"]["versions"]
USED_JOBS = ((JobState.QUEUED, 2), (JobState.RUNNING, 1))


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with the project lab, and some usage."""
    deployment.on("GET", "/v1/projects", {"items": [LAB], "next": None})
    deployment.on("GET", "/v1/projects/lab", LAB)
    deployment.on("POST", "/v1/projects", LAB, status=201)
    deployment.on("DELETE", "/v1/projects/lab", None, status=204)
    deployment.on("GET", "/v1/usage", example(Usage))
    deployment.on("GET", "/v1/usage/storage", example(StorageUsage))
    deployment.on("GET", "/v1/jobs", {"items": [], "next": None})
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

    assert result.out.splitlines()[-2].split() == (
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


def test_usage_ends_with_what_is_stored(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/usage/storage", example(StorageUsage, bytes=3 << 30, objects=1234))

    last = run("usage").out.splitlines()[-1]

    assert last.startswith("Stored: 3.0 GiB in 1,234 objects, as counted 2026-01-0")
    assert run("usage", "--json").json == example(Usage)


@pytest.fixture
def lab(deployment: Deployment) -> Deployment:
    """The project lab has 3 live jobs."""
    deployment.on("PATCH", "/v1/projects/lab", LAB)
    deployment.on("GET", "/v1/usage/storage", example(StorageUsage, bytes=2 << 30))
    queued, running = ({"items": [job(state, id=state)] * count, "next": None} for state, count in USED_JOBS)
    deployment.on("GET", "/v1/jobs", queued, running)
    return deployment


def test_show_has_quotas_beside_use(lab: Deployment) -> None:
    quotas = {"stored_bytes": 10 << 30, "live_jobs": 20, "requests_per_minute": 6000}
    lab.on("GET", "/v1/projects/lab", LAB | {"quotas": quotas, "retention": {"jobs_days": 30}})

    lines = run("projects", "show", "lab").out.splitlines()

    assert [line.split("  ")[0] for line in lines[3:9]] == [name.replace("_", " ") for name in Quotas.model_fields]
    cells = [re.split(r" {2,}", line) for line in lines[2:]]
    assert cells[0] == ["quota", "limit", "used"]
    assert ["stored bytes", "10.0 GiB", "2.0 GiB"] in cells
    assert ["live jobs", "20", "3"] in cells
    assert ["requests per minute", "6,000", "–"] in cells
    assert ["upload bytes", "none", "–"] in cells
    assert lines[-1] == "  deleted after: jobs_days = 30"
    assert {request.headers["Tidepool-Project"] for request in lab.requests} == {"lab"}
    days = dict(lab.requests[1].url.params)
    assert days["since"].endswith("-01")


def test_live_jobs_are_counted_up_to_a_bound(lab: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidepool.cli.projects.MOST_COUNTED", 2)

    assert "2 or more" in run("projects", "show", "lab").out


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--stored-bytes", "10GiB", "--live-jobs", "20"], {"quotas": {"stored_bytes": 10 << 30, "live_jobs": 20}}),
        (["--stored-bytes", "1.5 GB"], {"quotas": {"stored_bytes": 1_500_000_000}}),
        (["--upload-bytes", "300k"], {"quotas": {"upload_bytes": 307_200}}),
        (["--live-jobs", "none", "--upload-bytes", "none"], {"quotas": {"live_jobs": None, "upload_bytes": None}}),
        (["--requests-per-minute", "600"], {"quotas": {"requests_per_minute": 600}}),
        (["--requests-at-once", "8"], {"quotas": {"requests_at_once": 8}}),
        (["--replica-seconds-per-month", "360000"], {"quotas": {"replica_seconds_per_month": 360_000}}),
        (["--weight", "3", "--description", ""], {"weight": 3, "description": ""}),
    ],
)
def test_set_changes_what_is_named(lab: Deployment, words: list[str], body: dict[str, Any]) -> None:
    result = run("projects", "set", "lab", *words)

    assert result.code == 0
    assert lab.bodies("PATCH") == [body]
    assert "used" not in result.out


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--jobs-days", "90"], {"jobs_days": 90}),
        (["--uploads-days", "none"], {"uploads_days": None}),
        (["--versions-days", "none"], {"versions": None}),
        (["--versions-days", "7"], {"versions": VERSIONS | {"days": 7}}),
        (["--keep-last", "9", "--trained-on"], {"versions": VERSIONS | {"keep_last": 9, "trained_on": True}}),
    ],
)
def test_set_keeps_the_rest_of_the_retention(lab: Deployment, words: list[str], changes: dict[str, Any]) -> None:
    assert run("projects", "set", "lab", *words, "--json").json == LAB

    assert lab.bodies("PATCH") == [{"retention": LAB["retention"] | changes}]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--live-jobs", "many"],
        ["--live-jobs", "-1"],
        ["--live-jobs", "10GiB"],
        ["--live-jobs", "1.5"],
        ["--stored-bytes", "10 parsecs"],
        ["--stored-bytes", "GiB"],
        ["--stored-bytes", "-1"],
        ["--stored-bytes", ""],
        ["--weight", "0"],
    ],
)
def test_set_refuses_what_is_no_amount(lab: Deployment, words: list[str]) -> None:
    result = run("projects", "set", "lab", *words)

    assert (result.code, result.out, lab.requests) == (2, "", [])


def test_versions_are_kept_by_number_only_if_they_are_deleted(lab: Deployment) -> None:
    lab.on("GET", "/v1/projects/lab", LAB | {"retention": {}})

    result = run("projects", "set", "lab", "--keep-last", "3")

    assert (result.code, lab.bodies("PATCH")) == (2, [])
    assert "--versions-days" in result.err

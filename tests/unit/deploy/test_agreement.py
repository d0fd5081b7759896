"""Compose and Kubernetes run the same services in the same way."""

import dataclasses
from pathlib import Path

import pytest

from services.storage.access.object_keys import ACCESS, SECRET
from tests.support.deployment import (
    KUBERNETES,
    SERVICES,
    Workload,
    compose,
    documents,
    in_compose,
    in_kubernetes,
    secrets_made,
)
from tests.support.kustomize import by_reading, containers

SERVERS = {"secrets", "redis", "postgres", "s3"}  # what a cluster has or buys
AUTOSCALING = {"autoscaler", "docker-proxy"}  # KEDA's work there
PLACES = {"TIDEPOOL_S3_ENDPOINT", "TIDEPOOL_TRAINERS_NETWORK"}
OBJECT_KEYS = {ACCESS, SECRET}
VOLUMES = {"TIDEPOOL_SERVICES_FOLDER"}  # a cluster's owner brings the keys to the object store


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_the_same_on_both(name: str) -> None:
    here, there = in_compose(name), in_kubernetes(name)

    assert _comparable(there) == _comparable(here)
    assert {key for key, _ in there.settings} == {key for key, _ in here.settings} - VOLUMES


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "init"])
def test_kubernetes_waits_at_least_as_long_for_a_service_to_stop(name: str) -> None:
    assert in_kubernetes(name).grace >= in_compose(name).grace


def test_kubernetes_runs_every_service_of_compose() -> None:
    assert compose()["services"].keys() - SERVERS - AUTOSCALING == set(SERVICES)


def test_the_secrets_have_the_same_names(tmp_path: Path) -> None:
    made = secrets_made(tmp_path)

    for part in SERVICES:
        (example,) = (one for one in documents("secrets.example.yaml") if one["metadata"]["name"] == f"tidepool-{part}")
        assert set(example["stringData"]) == {file.name for file in (made / part).iterdir()} | OBJECT_KEYS


def test_the_example_names_the_redis_user_of_each_service() -> None:
    example = (KUBERNETES / "secrets.example.yaml").read_text()

    for part in set(SERVICES) - {"init"}:
        (section,) = (section for section in example.split("---") if f"name: tidepool-{part}\n" in section)
        assert f"# redis://{part}:" in section


def test_gpus_are_used_in_the_same_way() -> None:
    here = compose("compose.gpu.yml")["services"]
    there = {one["metadata"]["name"]: containers(one)[0] for one in by_reading("gpu") if one["kind"] == "Deployment"}

    for name, service in here.items():
        assert service["image"] == there[name]["image"]
        own = [one for one in there[name].get("env", ()) if "value" in one and one["name"] not in PLACES]
        assert service.get("environment", {}) == {one["name"]: one["value"] for one in own}


def _comparable(workload: Workload) -> Workload:
    settings = frozenset((key, value) for key, value in workload.settings if key not in PLACES | VOLUMES)
    return dataclasses.replace(workload, settings=settings, grace=0.0)

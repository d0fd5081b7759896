"""What the overlays apply to a cluster: confined pods that drain, in a closed network, scaled by demand."""

import shutil
from collections.abc import Callable
from itertools import product

import pytest

from tests.support.deployment import Document
from tests.support.kustomize import by_kubectl, by_reading, containers
from worker.watch import DRAIN_GRACE_S

OVERLAYS = ("base", "cpu", "gpu", "keda")
RENDERERS = (by_reading, by_kubectl) if shutil.which("kubectl") else (by_reading,)


@pytest.fixture(params=product(OVERLAYS, RENDERERS), ids=lambda both: f"{both[0]}-{both[1].__name__}")
def rendered(request: pytest.FixtureRequest) -> list[Document]:
    overlay, render = request.param
    return list(render(overlay))


@pytest.fixture(params=RENDERERS)
def render(request: pytest.FixtureRequest) -> Callable[[str], list[Document]]:
    return request.param  # type: ignore[no-any-return]


def of_kind(documents: list[Document], *kinds: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] in kinds}


def test_every_pod_is_confined(rendered: list[Document]) -> None:
    for workload in of_kind(rendered, "Deployment", "Job").values():
        pod = workload["spec"]["template"]["spec"]
        (container,) = containers(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/scratch"}


def test_every_deployment_is_probed_and_disrupted_one_by_one(rendered: list[Document]) -> None:
    budgets = of_kind(rendered, "PodDisruptionBudget")

    for name, deployment in of_kind(rendered, "Deployment").items():
        (container,) = containers(deployment)
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert budgets[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert budgets[name]["spec"]["maxUnavailable"] == 1


def test_everything_is_in_one_namespace(rendered: list[Document]) -> None:
    assert {document["metadata"].get("namespace") for document in rendered if document["kind"] != "Namespace"} == {
        "tidepool"
    }


def test_only_the_gateway_is_open(rendered: list[Document]) -> None:
    policies = of_kind(rendered, "NetworkPolicy")

    assert policies["default"]["spec"]["podSelector"] == {}
    assert set(policies["default"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert [rule["ports"] for rule in policies["default"]["spec"]["ingress"]] == [[{"port": 9100}]]
    assert policies.keys() == {"default", "gateway", "trainer"}
    assert policies["gateway"]["spec"]["ingress"] == [{"ports": [{"port": 8080}]}]
    assert of_kind(rendered, "Service").keys() == {"gateway", "trainer"}


def test_trainers_reach_only_each_other(rendered: list[Document]) -> None:
    policy = of_kind(rendered, "NetworkPolicy")["trainer"]["spec"]
    trainers = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "trainer"}}}]

    assert policy["podSelector"] == trainers[0]["podSelector"]
    assert (policy["ingress"], policy["egress"]) == ([{"from": trainers}], [{"to": trainers}])
    assert of_kind(rendered, "Service")["trainer"]["spec"]["clusterIP"] == "None"


def test_gpus_go_to_training_and_serving(render: Callable[[str], list[Document]]) -> None:
    limits = {
        name: containers(deployment)[0]["resources"]["limits"]
        for name, deployment in of_kind(render("gpu"), "Deployment").items()
    }

    assert {name for name, limit in limits.items() if limit.get("nvidia.com/gpu") == "1"} == {"trainer", "inference"}
    assert all({"cpu", "memory"} <= limit.keys() for limit in limits.values())


def test_keda_alone_decides_on_replicas(render: Callable[[str], list[Document]]) -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(render("keda"), "ScaledObject").values()}
    counted = {name for name, one in of_kind(render("keda"), "Deployment").items() if "replicas" in one["spec"]}

    assert scaled == {"preprocess", "trainer", "inference"}
    assert counted == {"gateway", "sweep"}


def test_a_trainer_that_must_go_finishes_and_still_has_time_to_checkpoint(
    render: Callable[[str], list[Document]],
) -> None:
    pod = of_kind(render("keda"), "Deployment")["trainer"]["spec"]["template"]["spec"]
    command, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]

    assert command == "finish-job"
    assert pod["terminationGracePeriodSeconds"] - int(seconds) > DRAIN_GRACE_S

"""KEDA's objects have the fields of its published schema, keda.sh/v1alpha1 of 2.17, and ask what the gateway tells."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from contract.pools import POOL_NAMES
from services.storage.pools.pools import POLICIES
from tests.support.deployment import Document, documents
from tests.support.kustomize import by_reading

TEXT, WHOLE, YES_NO = str, int, bool
RULES = {
    "stabilizationWindowSeconds": WHOLE,
    "selectPolicy": TEXT,
    "policies": [{"type": TEXT, "value": WHOLE, "periodSeconds": WHOLE}],
}
SCALED_OBJECT = {
    "scaleTargetRef": {"name": TEXT, "apiVersion": TEXT, "kind": TEXT, "envSourceContainerName": TEXT},
    "pollingInterval": WHOLE,
    "initialCooldownPeriod": WHOLE,
    "cooldownPeriod": WHOLE,
    "idleReplicaCount": WHOLE,
    "minReplicaCount": WHOLE,
    "maxReplicaCount": WHOLE,
    "fallback": {"failureThreshold": WHOLE, "replicas": WHOLE, "behavior": TEXT},
    "advanced": {
        "restoreToOriginalReplicaCount": YES_NO,
        "horizontalPodAutoscalerConfig": {"name": TEXT, "behavior": {"scaleUp": RULES, "scaleDown": RULES}},
    },
    "triggers": [
        {
            "type": TEXT,
            "name": TEXT,
            "metricType": TEXT,
            "useCachedMetrics": YES_NO,
            "authenticationRef": {"name": TEXT, "kind": TEXT},
            "metadata": {
                "url": TEXT,
                "format": TEXT,
                "valueLocation": TEXT,
                "targetValue": TEXT,
                "activationTargetValue": TEXT,
                "unsafeSsl": TEXT,
                "authMode": TEXT,
            },
        }
    ],
}
TRIGGER_AUTHENTICATION = {"secretTargetRef": [{"parameter": TEXT, "name": TEXT, "key": TEXT}]}
SCHEMAS = {"ScaledObject": SCALED_OBJECT, "TriggerAuthentication": TRIGGER_AUTHENTICATION}
FALLBACKS = {"static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"}

OBJECTS = [document for document in by_reading("keda") if document["apiVersion"].startswith("keda.sh/")]
SCALED = [document for document in OBJECTS if document["kind"] == "ScaledObject"]


def strangers(value: Any, schema: Any, place: str = "spec") -> list[str]:
    """Where a value has a field that the schema does not know, or is not what it says."""
    if isinstance(schema, dict):
        unknown = [f"{place}.{name}" for name in value if name not in schema]
        return unknown + [
            field
            for name in value
            if name in schema
            for field in strangers(value[name], schema[name], f"{place}.{name}")
        ]
    if isinstance(schema, list):
        return [field for item in value for field in strangers(item, schema[0], place)]
    return [] if type(value) is schema else [place]


@pytest.mark.parametrize("document", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_field_is_in_the_schema(document: Document) -> None:
    assert document["apiVersion"] == "keda.sh/v1alpha1"
    assert strangers(document["spec"], SCHEMAS[document["kind"]]) == []


def test_a_field_that_is_not_in_the_schema_is_found() -> None:
    assert strangers({"minReplicas": 1, "pollingInterval": "5"}, SCALED_OBJECT) == [
        "spec.minReplicas",
        "spec.pollingInterval",
    ]


def test_every_pool_is_scaled_by_its_own_demand() -> None:
    triggers = {document["metadata"]["name"]: document["spec"]["triggers"][0]["metadata"] for document in SCALED}

    assert triggers.keys() == set(POOL_NAMES)
    for pool, metadata in triggers.items():
        url = urlsplit(metadata["url"])
        assert url.path == f"/v1/pools/{pool}/demand"
        assert (url.hostname, url.port) == ("gateway.tidepool.svc.cluster.local", 8080)
        assert (metadata["valueLocation"], metadata["authMode"]) == ("value", "bearer")


def test_a_replica_is_meant_to_have_as_much_as_by_the_pools_own_policy() -> None:
    targets = {
        document["metadata"]["name"]: document["spec"]["triggers"][0]["metadata"]["targetValue"] for document in SCALED
    }

    assert targets == {pool: f"{policy.backlog_per_replica:g}" for pool, policy in POLICIES.items()}


def test_without_a_measurement_nothing_shrinks() -> None:
    for document in SCALED:
        assert document["spec"]["fallback"]["behavior"] in FALLBACKS
        assert document["spec"]["fallback"]["behavior"].startswith("currentReplicas")


def test_the_key_is_in_a_secret_that_the_page_asks_for() -> None:
    (authentication,) = (one for one in OBJECTS if one["kind"] == "TriggerAuthentication")
    (reference,) = authentication["spec"]["secretTargetRef"]
    (secret,) = (one for one in documents("secrets.example.yaml") if one["metadata"]["name"] == reference["name"])

    assert reference["parameter"] == "token"
    assert reference["key"] in secret["stringData"]
    assert {document["spec"]["triggers"][0]["authenticationRef"]["name"] for document in SCALED} == {
        authentication["metadata"]["name"]
    }

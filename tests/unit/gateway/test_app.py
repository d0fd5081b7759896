"""The OpenAPI document, as client generators read it."""

from typing import Any

import jsonschema_rs
import pytest

from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.unit.gateway.backends import classify, gateway

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    stores = Stores(Database.in_memory(), MemoryObjects())
    return gateway(stores, MemoryChannel(classify)).openapi()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        result = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return result.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_schema_reference_resolves(document: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert references(document) <= schemas


def test_every_problem_is_documented_as_one(document: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

    for name, operation in operations(document).items():
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert all(answer["content"] == problem for answer in refusals.values()), name
        if "/v1/" in name:
            assert {"400", "401", "403", "422", "500", "503"} <= set(refusals), name
        if body := operation.get("requestBody"):
            assert "413" in refusals, name
            # bytes of a file may have any type
            assert "415" in refusals or set(body["content"]) == {"application/octet-stream"}, name


def test_every_operation_is_described_and_needs_a_key(document: dict[str, Any]) -> None:
    (name, scheme), *_ = document["components"]["securitySchemes"].items()

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for operation in (result for place, result in operations(document).items() if "/v1/" in place):
        assert operation["security"] == [{name: []}]
        assert operation["description"]


@pytest.mark.parametrize(
    ("operation", "examples"),
    [
        (
            "post /v1/jobs",
            {
                *("train", "layers", "search", "evaluate", "predict", "preprocess", "revise", "vet", "index", "erase"),
                "backbone",
            },
        ),
        ("patch /v1/pools/{pool}", {"manual", "auto"}),
    ],
)
def test_the_examples_are_valid_requests(document: dict[str, Any], operation: str, examples: set[str]) -> None:
    content = operations(document)[operation]["requestBody"]["content"]["application/json"]
    validator = jsonschema_rs.validator_for(content["schema"] | {"components": document["components"]})

    assert set(content["examples"]) == examples
    for example in content["examples"].values():
        validator.validate(example["value"])

"""Every operation of the OpenAPI document has a method, and every query parameter an argument."""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import LEASED_REVIEW
from tests.unit.gateway.backends import classify, gateway
from tidepool_client import AsyncClient, Client

DOCUMENT: dict[str, Any] = gateway(Stores(Database.in_memory(), MemoryObjects()), MemoryChannel(classify)).openapi()
OPERATIONS = {
    (method.upper(), template): operation
    for template, path in DOCUMENT["paths"].items()
    for method, operation in path.items()
}  # without /v2, the Open Inference Protocol, for which Triton's own client exists
NOT_OPERATIONS = {"close", "aclose", "read", "console_link"}  # links are the console's, which the document leaves out
NOT_ARGUMENTS = {"cursor", "alias"}  # the iterators pass the cursor on; an alias is in the reference

MOMENT = datetime(2026, 1, 31, tzinfo=UTC)
ARGUMENTS: dict[str, Any] = {
    **{"name": "pets", "reference": "pets@3", "model": "pets", "dataset": "pets", "pool": "inference", "alias": "blue"},
    **{"job_id": "j1", "key_id": "k1", "upload_id": "u1", "sha256": "a" * 64, "label": "cat", "split": "test"},
    **{"image": b"image", "images": [b"image"], "kind": "train", "spec": {}, "state": "failed", "version": 3},
    **{"number": 1, "data": b"bytes", "parent": "j1"},
    **{"base": 2, "change": "added", "format": "csv", "image_root": "/images/", "predictions": "j1"},
    "changes": [{"sha256": "a" * 64, "label": "cat"}],
    **{"replicas": 2, "variant": "int8", "filename": "pets.zip", "size": 5, "role": "viewer", "top_k": 3, "limit": 7},
    **{
        "wait_s": 5,
        "after": 2,
        "actor": "k1",
        "action": "delete",
        "subject": "models/pets",
        "by": "model",
        "everything": True,
    },
    **{"since": MOMENT, "until": MOMENT},
    **{"item": LEASED_REVIEW, "item_id": "i1", "prediction": "p1", "count": 2, "disagreement": True, "below": 0.5},
    **{"evaluation": "j1", "votes": 2, "keep_days": 7},
}


class Recorded(Exception):
    """Ends a method after its first request."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request


def record(request: httpx.Request) -> httpx.Response:
    raise Recorded(request)


def nouns(client: object) -> dict[str, object]:
    return {name: noun for name, noun in vars(client).items() if not name.startswith("_")}


def methods(client: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the name and the method of everything public of the client, of its nouns and of a job."""
    for prefix, owner in {"client": client, **nouns(client)}.items():
        for name, method in inspect.getmembers(owner, callable):
            if not name.startswith("_") and name not in NOT_OPERATIONS:
                yield f"{prefix}.{name}", method


CLIENT = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(record))
METHODS = dict(methods(CLIENT))


def requests_of(method: Callable[..., Any], folder: Path) -> Iterator[httpx.Request]:
    """Yield the first request of a call with the required arguments, and of one with all known arguments."""
    file = folder / "pets.zip"
    file.write_bytes(b"bytes")
    known = ARGUMENTS | {"source": file, "model": file if method.__name__ == "upload" else "pets", "file": file}
    parameters = inspect.signature(method).parameters
    for required in (True, False):
        arguments = {
            name: known[name]
            for name, parameter in parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
            and (parameter.default is inspect.Parameter.empty or (not required and name in known))
        }
        if method.__qualname__ == "Datasets.create":
            arguments["source"] = "s3://photos/pets"
        with pytest.raises(Recorded) as recorded:
            begin(method, arguments)
        yield recorded.value.request


def begin(method: Callable[..., Any], arguments: dict[str, Any]) -> None:
    answer = method(**arguments)
    if isinstance(answer, Iterator):
        next(answer)


def operation_of(request: httpx.Request) -> tuple[str, str]:
    """Return the operation that a request is for; raises ValueError if there is none."""
    matching = [
        (method, template)
        for method, template in OPERATIONS
        if method == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path)
    ]
    return min(matching, key=lambda operation: operation[1].count("{"))


def parameters_of(operation: dict[str, Any], place: str) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == place}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[httpx.Request]]:
    """The requests of all methods, by operation."""
    calls = defaultdict[tuple[str, str], list[httpx.Request]](list)
    for method in METHODS.values():
        for request in requests_of(method, tmp_path_factory.mktemp("files")):
            calls[operation_of(request)].append(request)
    return dict(calls)


def test_every_operation_has_a_method(calls: dict[tuple[str, str], list[httpx.Request]]) -> None:
    assert sorted(set(OPERATIONS) - set(calls)) == []


def test_every_query_parameter_has_an_argument_and_is_known_to_the_server(
    calls: dict[tuple[str, str], list[httpx.Request]],
) -> None:
    for operation, requests in calls.items():
        sent = {name for request in requests for name in request.url.params}
        assert sent | NOT_ARGUMENTS >= parameters_of(OPERATIONS[operation], "query"), operation
        assert sent <= parameters_of(OPERATIONS[operation], "query"), operation


def test_creating_requests_have_an_idempotency_key(calls: dict[tuple[str, str], list[httpx.Request]]) -> None:
    for operation, requests in calls.items():
        known = parameters_of(OPERATIONS[operation], "header") | _uploads(operation)
        for request in requests:
            assert ("idempotency-key" in request.headers) == ("idempotency-key" in known), operation


def test_the_asyncio_client_has_the_same_methods_with_the_same_arguments() -> None:
    asynchronous = dict(methods(AsyncClient("http://tidepool", "tp_key")))
    assert set(asynchronous) == set(METHODS)
    for name, method in METHODS.items():
        assert list(inspect.signature(method).parameters) == list(inspect.signature(asynchronous[name]).parameters)


def _uploads(operation: tuple[str, str]) -> set[str]:
    """Uploads read the header themselves, so it is not in the document."""
    body = OPERATIONS[operation].get("requestBody", {}).get("content", {})
    multipart = "multipart/form-data" in body and not operation[1].endswith("/predict")
    return {"idempotency-key"} if multipart else set()

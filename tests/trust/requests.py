"""Requests for every operation of the OpenAPI document, generated, so that new endpoints are covered."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from contract.kinds.registry import all_kinds
from contract.references import Noun, references_in, with_references
from tests.trust.world import IMAGE

Json = dict[str, Any]
Known = Mapping[str, Mapping[str, str | int]]

METHODS = ("get", "post", "put", "patch", "delete")


def operations(document: Json) -> list[str]:
    """Every operation of the document, such as `GET /v1/jobs`."""
    return [
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in METHODS if method in item
    ]


def requests_for(operation: str, document: Json, known: Known) -> Iterator[httpx.Request]:
    """Valid requests of an operation for what is known; one for each media type and example of its body."""
    method, path = operation.split()
    described = document["paths"][path][method.lower()]
    parameters = known.get(path.split("/")[2] if path.count("/") > 1 else "", known[""])
    url = "http://tidepool" + re.sub(r"{(\w+)}", lambda part: str(parameters[part[1]]), path)
    if path == "/v1/jobs" and method == "POST":
        for body in job_requests(known):
            yield httpx.Request(method, url, json=body)
    content = described.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        for arguments in _bodies(media_type, body, document):
            yield httpx.Request(method, url, **arguments)
    if not content:
        yield httpx.Request(method, url)


def job_requests(known: Known) -> Iterator[Json]:
    """A request of each kind of job in which every reference names something that is known."""
    names: dict[Noun, str] = {
        "dataset": str(known["datasets"]["name"]),
        "model": str(known["models"]["name"]),
        "start": str(known["models"]["name"]),
        "upload": str(known[""]["upload_id"]),
    }
    for kind in all_kinds():
        for example in kind.examples.values():
            request = kind.request.model_validate(example["value"])
            replacements = {(noun, text): names[noun] for noun, text in references_in(request.spec)}
            yield request.model_copy(update={"spec": with_references(request.spec, replacements)}).model_dump(
                mode="json"
            )


def _bodies(media_type: str, body: Json, document: Json) -> Iterator[dict[str, Any]]:
    if media_type == "application/json":
        for example in body.get("examples", {}).values():
            yield {"json": example["value"]}
        yield {"json": minimal(body["schema"], document)}
    elif media_type == "multipart/form-data":
        yield {"files": _parts(resolved(body["schema"], document), document)}
    else:
        yield {"content": IMAGE, "headers": {"Content-Type": media_type}}


def _parts(schema: Json, document: Json) -> list[tuple[str, Any]]:
    """The required parts of a form."""
    parts: list[tuple[str, Any]] = []
    for name in schema.get("required", []):
        part = resolved(schema["properties"][name], document)
        if part.get("type") == "array":
            part = resolved(part["items"], document)
        if part.get("type") == "string":
            parts.append((name, ("file", IMAGE, "application/octet-stream")))
        else:
            parts.append((name, (None, json.dumps(minimal(part, document)), "application/json")))
    return parts


def resolved(schema: Json, document: Json) -> Json:
    """The schema that a reference leads to, and the first of alternatives."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif alternatives := schema.get("oneOf") or schema.get("anyOf"):
            schema = alternatives[0]
        else:
            return schema


def minimal(schema: Json, document: Json) -> Any:
    """The smallest value that a schema permits."""
    schema = resolved(schema, document)
    if examples := schema.get("examples"):
        return examples[0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: minimal(schema["properties"][name], document) for name in schema.get("required", ())}
        case "array":
            return [minimal(schema["items"], document)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            return "a" * max(1, schema.get("minLength", 1))

"""Translates pydantic's validation errors for clients: where the error is, and what to change."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.base import Frozen


class Fault(Frozen):
    """One thing to change in a request, and where."""

    where: str
    message: str


# Replaces pydantic's messages that mention Python types.
_MESSAGES = {
    "value_error": "{error}",
    "too_short": "Array should have a length of at least {min_length}",
    "too_long": "Array should have a length of at most {max_length}",
    "tuple_type": "Input should be a valid array",
    "frozen_set_type": "Input should be a valid array",
    "model_attributes_type": "Input should be a valid object",
    "model_type": "Input should be a valid object",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
    "union_tag_not_found": "Field {discriminator} required",
}


def fault_of(error: Mapping[str, Any], body: Any) -> Fault:
    """Convert one entry of `ValidationError.errors()`, with its place in the parsed body."""
    template = _MESSAGES.get(error["type"])
    message = template.format(**error.get("ctx", {})) if template else error["msg"]
    return Fault(where=field_path(error["loc"], body, missing=error["type"] == "missing"), message=message)


def field_path(location: Sequence[int | str], body: Any, missing: bool = False) -> str:
    """Format a pydantic location as a path into the body, `spec.layers[1]`, without the tags of unions.

    `missing` means that the last part of the location is not in the body.
    """
    origin, *path = location
    where, node = "" if origin == "body" else str(origin), body
    for part, following in zip(path, [*path[1:], None], strict=False):
        if isinstance(body, Mapping) and not _is_field(node, part, following, missing):
            continue
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
        node = node[part] if _holds(node, part) else None
    return where.removeprefix(".") or "body"


def _is_field(node: Any, part: int | str, following: int | str | None, missing: bool) -> bool:
    """Return whether a part of a location is a field or an index, not the tag of a union's member."""
    if following is None:
        return missing or _holds(node, part)
    if not _holds(node, part):
        return False
    child = node[part]
    return _holds(child, following) or (isinstance(child, Mapping) and part != following)


def _holds(node: Any, part: int | str | None) -> bool:
    if isinstance(part, int):
        return isinstance(node, list) and part < len(node)
    return isinstance(node, Mapping) and part in node

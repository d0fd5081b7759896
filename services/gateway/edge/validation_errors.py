"""Translates pydantic's validation errors for clients: where the error is, and what to change."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.base import NAME_PATTERN, Frozen, unknown_field
from contract.pipelines import PIPELINE_NAME_PATTERN
from contract.references import REFERENCE_PATTERN


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

# Replaces "String should match pattern …".
_LETTERS = "lower-case letters, digits, '.', '_' and '-', the first a letter or a digit"
_NAME = f"1 to 63 {_LETTERS}"
_PATTERNS = {
    NAME_PATTERN: f"A name has {_NAME}",
    PIPELINE_NAME_PATTERN: f"The name of a pipeline has 1 to 50 {_LETTERS}",
    REFERENCE_PATTERN: f"A reference is a name, such as pets, pets@3 or pets@production; a name has {_NAME}",
}

_INPUT = "Input should be "
MOST_ERRORS = 200  # that are looked at: comparing all takes a time that grows with the square of their number


def faults_of(errors: Sequence[Mapping[str, Any]], body: Any) -> tuple[Fault, ...]:
    """Convert the first of `ValidationError.errors()`, with their places in the parsed body.

    A value that fits no member of a union has an error for each; those at one place become one fault, and those of
    members that the value does not resemble are left out: `size: [0, 1]` has a bad side, and is no attempt at `auto`.
    """
    messages: dict[str, list[str]] = {}
    for fault in (_fault_of(error, body) for error in errors[:MOST_ERRORS]):
        at_place = messages.setdefault(fault.where, [])
        if fault.message not in at_place:
            at_place.append(fault.message)
    outer = {place for place in messages for other in messages if other.startswith((f"{place}.", f"{place}["))}
    return tuple(Fault(where=place, message=_joined(texts)) for place, texts in messages.items() if place not in outer)


def _joined(messages: Sequence[str]) -> str:
    first, *others = messages
    return " or ".join([first, *(message.removeprefix(_INPUT) for message in others)])


def _fault_of(error: Mapping[str, Any], body: Any) -> Fault:
    template = _MESSAGES.get(error["type"])
    context = error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        message = unknown_field(error["loc"][-1])
    else:
        message = template.format(**context) if template else _PATTERNS.get(context.get("pattern"), error["msg"])
    return Fault(where=field_path(error["loc"], body, missing=error["type"] == "missing"), message=message)


def field_path(location: Sequence[int | str], body: Any, missing: bool = False) -> str:
    """Format a pydantic location as a path into the body, `spec.layers[1]`, without the tags of unions.

    `missing` means that the last part of the location is not in the body.
    """
    origin, *path = location
    where, node = "" if origin == "body" else str(origin), body
    for index, part in enumerate(path):
        if isinstance(body, Mapping) and not _is_field(node, part, path[index + 1 :], missing):
            continue
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
        node = node[part] if _holds(node, part) else None
    return where.removeprefix(".") or "body"


def _is_field(node: Any, part: int | str, rest: Sequence[int | str], missing: bool) -> bool:
    """Return whether a part of a location is a field or an index, not the tag of a union's member."""
    if not rest:
        return missing or _holds(node, part)
    if not _holds(node, part):
        return False
    child, following = node[part], rest[0]
    if part == following or _holds(child, following):
        return _holds(child, following)
    # `following` is a field that the child lacks, or a tag; or, if `part` is a tag and no field, a field beside it
    return isinstance(child, Mapping) or not (_holds(node, following) or (missing and len(rest) == 1))


def _holds(node: Any, part: int | str | None) -> bool:
    if isinstance(part, int):
        return isinstance(node, list) and part < len(node)
    return isinstance(node, Mapping) and part in node

"""Parses the JSON that clients send, within bounds that the parsers of the framework lack."""

import json
import re
from collections.abc import Iterable
from typing import Any

from contract.errors import Invalid, Malformed

MAX_DEPTH = 64  # levels; serializing much deeper values fails
MAX_DIGITS = 308  # of an integer, so that it fits into a float

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes, noun: str = "the body") -> Any:
    """Parse JSON; raises Malformed for other text, deep nesting or a long integer, and Invalid for half a character.

    As in Python, the last of several equal names counts, and NaN and Infinity are numbers; models refuse them.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))  # json.loads would let halves of surrogate pairs pass
        value = json.loads(text, parse_int=_integer)
    except Malformed as error:
        raise Malformed(f"{noun} {error.message}") from error
    except ValueError as error:
        raise Malformed(f"{noun} is not JSON") from error
    except RecursionError as error:
        raise too_deep(noun) from error
    if _is_deep(value):
        raise too_deep(noun)
    if _SURROGATE.search(text) and not _is_unicode(value):
        raise Invalid(f"{noun} has half of a surrogate pair, which is no character; send both halves, or UTF-8")
    return value


def too_deep(noun: str) -> Malformed:
    return Malformed(f"{noun} is nested too deeply; JSON may have {MAX_DEPTH} levels of arrays and objects")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Malformed(f"has a number of {len(digits)} digits; an integer may have {MAX_DIGITS}")
    return int(digits)


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True

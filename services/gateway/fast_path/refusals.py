"""Refusals of an overload, encoded once: those of a route with the same message differ only in the request's id."""

from typing import NamedTuple

from contract.errors import Overloaded
from services.gateway.edge.problems import count_problem
from services.gateway.edge.request_id import named
from services.gateway.fast_path.shortcut import Call, Rendered

MAX_KEPT = 256  # messages with different numbers
_PLACE = "place-of-the-request-id"

_kept: dict[tuple[str, str], "_Template"] = {}


class _Template(NamedTuple):
    headers: list[tuple[bytes, bytes]]  # without Content-Length
    pieces: list[bytes]  # of the body; the request's id stands between them


def refusal_of(call: Call, error: Overloaded, request_id: str) -> Rendered:
    """Return what `call.refuse` returns for a request with this id."""
    key = (call.route, error.message)
    template = _kept.get(key)
    if template is None:
        if len(_kept) >= MAX_KEPT:
            _kept.clear()
        template = _kept[key] = _template(call, error)  # also counts the problem
    else:
        count_problem(error.code)
    body = request_id.encode().join(template.pieces)
    return Rendered([*template.headers, (b"content-length", b"%d" % len(body))], body)


def _template(call: Call, error: Overloaded) -> _Template:
    with named(_PLACE):
        response = call.refuse(error)
    headers = [header for header in response.raw_headers if header[0] != b"content-length"]
    return _Template(headers, bytes(response.body).split(_PLACE.encode()))

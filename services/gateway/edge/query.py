"""Refuses query parameters that a path does not have: ignoring `topk=3` would return a wrong answer silently."""

import difflib

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

MOST_NAMED = 20  # unknown parameters in an answer
CUTOFF = 0.6  # of the similarity of two names, 0..1, from which one is suggested for the other


def check_query(request: Request) -> None:
    """Raise RequestValidationError that names the unknown query parameters, and the known ones."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = _parameters(route)
    if unknown := [name for name in request.query_params if name not in known]:
        raise RequestValidationError([_fault(name, known) for name in unknown[:MOST_NAMED]])


def _fault(name: str, known: tuple[str, ...]) -> dict[str, object]:
    suggestion = _similar(name, known)
    hint = f"did you mean {suggestion}? " if suggestion else ""
    listed = f"this path has {', '.join(known)}" if known else "this path has no query parameters"
    return {"type": "unknown_parameter", "loc": ("query", name[:80]), "msg": f"unknown parameter; {hint}{listed}"}


def _similar(name: str, known: tuple[str, ...]) -> str | None:
    plain = {_plain(parameter): parameter for parameter in known}
    matches = difflib.get_close_matches(_plain(name[:80]), plain, n=1, cutoff=CUTOFF)
    return plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    """Return a name without its case and separators, which differ between programming languages."""
    return name.lower().replace("_", "").replace("-", "")


def _parameters(route: APIRoute) -> tuple[str, ...]:
    names: set[str] = set()
    dependants: list[Dependant] = [route.dependant]
    while dependants:
        dependant = dependants.pop()
        dependants += dependant.dependencies
        for field in dependant.query_params:
            model = field.field_info.annotation
            if isinstance(model, type) and issubclass(model, BaseModel):
                names |= set(model.model_fields)
            else:
                names.add(field.alias)
    return tuple(sorted(names))

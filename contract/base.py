"""Base class and field types of every message."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)


class Frozen(BaseModel):
    """An immutable value that rejects unknown fields, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"

Name = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN),
    Field(description="Lower-case letters, digits, '.', '_' and '-'; 1 to 63 characters."),
]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*")


def _require_text(value: object) -> object:
    """Reject numbers, which pydantic would read as seconds since 1970."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and _MOMENT.fullmatch(value)):
        raise ValueError("write a time as in 2026-01-31T12:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_require_text), AfterValidator(_in_utc)]
"""A time with its zone, as RFC 3339 writes it; kept in UTC."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Version = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
TopK = Annotated[int, Field(strict=True, ge=1, le=1000)]


def unknown_field(name: object, fields: Iterable[str] = ()) -> str:
    """Return the message for a field that is not one of these; it names the most similar one."""
    similar = get_close_matches(str(name), list(fields), 1)
    return f"there is no field {name}" + (f"; did you mean {similar[0]}?" if similar else "")


def first_fault(error: ValidationError, fields: Iterable[str] = ()) -> tuple[tuple[int | str, ...], str]:
    """Return the place of the first fault, and what is wrong there; `fields` are those of the model."""
    fault = error.errors(include_url=False)[0]
    place = fault["loc"]
    if fault["type"] == "extra_forbidden":
        return place, unknown_field(place[-1], fields if len(place) == 1 else ())
    return place, fault["msg"].removeprefix("Value error, ")

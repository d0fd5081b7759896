"""What a handler returns: the outcome of a job, a division into parts, or the result of one part."""

from typing import Any

from pydantic import Field

from contract.base import Frozen


class Outcome(Frozen):
    """Base of everything that a handler may return. Each kind publishes an outcome of its own."""


class Division(Outcome):
    """Divide the job into parts that any replica may run; the job continues when all of them are done."""

    parts: tuple[dict[str, Any], ...] = Field(min_length=1)


class PartDone(Outcome):
    """The result of one part, for the attempt that combines the parts."""

    result: dict[str, Any]

"""What a handler returns: the outcome of a job, a division, the result of one part, or a wait for child jobs."""

from typing import Annotated, Any

from pydantic import Field

from contract.base import Frozen, Whole


class Outcome(Frozen):
    """Base of everything that a handler may return. Each kind publishes an outcome of its own."""


class Division(Outcome):
    """Divide the job into parts that any replica may run; the job continues when all of them are done."""

    parts: tuple[dict[str, Any], ...] = Field(min_length=1)


class PartDone(Outcome):
    """The result of one part, for the attempt that combines the parts."""

    result: dict[str, Any]


class NewChild(Frozen):
    """A child to create; one that has this number exists already if an earlier attempt has created it."""

    number: Annotated[int, Field(strict=True, ge=0, lt=2**16)]
    spec: dict[str, Any]


class Waiting(Outcome):
    """Create child jobs of `kind`, and let the job wait, without a replica, until one of its children ends.

    The handler is called again then. `seen` is the number of ended children that it knew of: if another one has ended
    meanwhile, the job does not wait. `stopping` says that the handler knows that a person wants the best result so far:
    children that have not started are cancelled, and those that run end early.
    """

    kind: str
    children: tuple[NewChild, ...] = ()
    seen: Whole
    fraction: Annotated[float, Field(ge=0, le=1)]
    message: str
    stopping: bool = False

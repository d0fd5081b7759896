"""How a job whose work divides says so: parts that every replica takes, and what each of them came to."""

from typing import Any

from pydantic import Field

from contract.base import Frozen


class Division(Frozen):
    """What to do in each part; the job goes on when all are done."""

    parts: tuple[dict[str, Any], ...] = Field(min_length=1)


class PartDone(Frozen):
    """What one part came to, for the attempt that puts the parts together."""

    result: dict[str, Any]

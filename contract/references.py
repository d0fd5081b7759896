"""References to what has versions: `name`, `name@7` or `name@alias`."""

import re
from typing import Annotated, Self

from pydantic import StringConstraints

from contract.base import NAME_PATTERN, Frozen, Name, Version
from contract.errors import Invalid

_NAME = NAME_PATTERN.strip("^$")
REFERENCE_PATTERN = rf"^{_NAME}(@{_NAME})?$"

ReferenceText = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]


class Reference(Frozen):
    """A parsed reference; without version and alias it means the newest version."""

    name: Name
    version: Version | None = None
    alias: Name | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name`, `name@version` or `name@alias`; raises Invalid."""
        if not re.fullmatch(REFERENCE_PATTERN, text):
            raise Invalid(f"{text[:80]!r} is not a reference; write name, name@version or name@alias")
        name, _, which = text.partition("@")
        if not which:
            return cls(name=name)
        if not which.isdecimal():
            return cls(name=name, alias=which)
        if not 1 <= int(which) <= 2**31 - 1:
            raise Invalid(f"{text!r} names no version; versions count from 1")
        return cls(name=name, version=int(which))

    def __str__(self) -> str:
        which = self.version or self.alias
        return f"{self.name}@{which}" if which else self.name

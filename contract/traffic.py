"""How an alias routes requests: to one or several weighted versions, with an optional shadow."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Version

Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
# The keys of a JSON object are strings, so the key type is not strict.
Weights = dict[Annotated[int, Field(ge=1, le=2**31 - 1)], Percent]


class Traffic(Frozen):
    """Percentages of the requests by version; `shadow` also runs each request, and its answer is discarded."""

    versions: Weights = Field(min_length=1, description="Percentages by version, which add up to 100.")
    shadow: Version | None = Field(default=None, description="A version that gets a copy of each request.")

    @model_validator(mode="after")
    def _weights_add_up(self) -> Self:
        if sum(self.versions.values()) != 100:
            raise ValueError("the percentages must add up to 100")
        return self

    @property
    def main(self) -> int:
        """The version with the largest share; of several, the newest."""
        return max(self.versions, key=lambda version: (self.versions[version], version))

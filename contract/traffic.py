"""Who answers for an alias: one version or several by weight, and perhaps one that is only given copies."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Version

Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
# The keys of a JSON object are text, so they are not strict.
Weights = dict[Annotated[int, Field(ge=1, le=2**31 - 1)], Percent]


class Traffic(Frozen):
    """Percentages of the requests by version; `shadow` answers each of them once more, for nobody."""

    versions: Weights = Field(min_length=1, description="Percentages by version, which add up to 100.")
    shadow: Version | None = Field(default=None, description="A version that gets a copy of each request.")

    @model_validator(mode="after")
    def _weights_add_up(self) -> Self:
        if sum(self.versions.values()) != 100:
            raise ValueError("the percentages must add up to 100")
        return self

    @property
    def main(self) -> int:
        """The version that gets the most, the newest of several that do."""
        return max(self.versions, key=lambda version: (self.versions[version], version))

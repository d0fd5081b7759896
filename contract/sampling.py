"""Which predictions of an alias are copied to the review queue, and how many."""

import math
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Name, Whole
from contract.evaluation import Share
from contract.reviews import Votes

SampleSource = Literal["margin", "random", "disagreement"]


class SamplingMix(Frozen):
    """The shares of the three ways to choose images, which add up to 1."""

    margin: Share = Field(default=0.7, description="Images with the smallest difference of the two best scores.")
    random: Share = Field(default=0.2, description="Random images; their accuracy estimates that of all requests.")
    disagreement: Share = Field(
        default=0.1,
        description="Images that the shadow classifies differently; without a shadow, `margin` gets this share.",
    )

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = self.margin + self.random + self.disagreement
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"the shares must add up to 1; these add up to {total:g}")
        return self


class ReviewSampling(Frozen):
    """At most `rate_per_day` images a day (UTC) of an alias are copied to the review queue, without metadata.

    A copy is deleted after `keep_days` if the image has no answer. No image is copied if all copies of the alias
    together would have more than `max_bytes`; several gateways may exceed it by some copies. An image is decided when
    `votes` people agree.
    """

    rate_per_day: int = Field(default=200, strict=True, ge=1, le=100_000)
    mix: SamplingMix = SamplingMix()
    keep_days: int = Field(default=30, strict=True, ge=1, le=365)
    max_bytes: int = Field(default=1 << 30, strict=True, ge=1 << 20, le=1 << 50)
    votes: Votes = 1

    def budget(self, source: SampleSource, has_shadow: bool) -> int:
        """Return how many images a source may choose in a day; the three add up to `rate_per_day`."""
        random = round(self.rate_per_day * self.mix.random)
        disagreement = round(self.rate_per_day * self.mix.disagreement) if has_shadow else 0
        budgets = {"random": random, "disagreement": disagreement}
        return budgets.get(source, max(0, self.rate_per_day - random - disagreement))


class SampledToday(Frozen):
    """How many predictions of an alias today (UTC) could be sampled (`seen`), and how many were, by source."""

    seen: Whole = 0
    margin: Whole = 0
    random: Whole = 0
    disagreement: Whole = 0

    @property
    def taken(self) -> int:
        return self.margin + self.random + self.disagreement


class AliasSampling(ReviewSampling):
    """The sampling of an alias and what it has done; `stored_bytes` is the size of all copies that are stored."""

    model: Name
    alias: Name
    today: SampledToday = SampledToday()
    stored_bytes: Whole = 0
    created_at: datetime
    updated_at: datetime

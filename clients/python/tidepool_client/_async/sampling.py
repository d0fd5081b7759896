"""Sampling: which predictions of an alias go to the review queue."""

from collections.abc import Mapping

from contract.sampling import AliasSampling
from tidepool_client._async.transport import AsyncTransport
from tidepool_client.references import path
from tidepool_client.responses import given, parsed


class AsyncSampling:
    """`client.sampling`: copies doubtful, random and disputed images of an alias to the review queue."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def get(self, model: str, alias: str) -> AliasSampling:
        """Return the sampling of an alias, and how many images it took today; raises NotFound if it is off."""
        return parsed(AliasSampling, await self._http.call("GET", _path(model, alias)))

    async def set(
        self,
        model: str,
        alias: str,
        *,
        rate_per_day: int | None = None,
        mix: Mapping[str, float] | None = None,
        keep_days: int | None = None,
        max_bytes: int | None = None,
        votes: int | None = None,
    ) -> AliasSampling:
        """Turn sampling on for an alias, or replace its settings; a setting that is not given gets its default.

        `mix` has the shares of `margin`, `random` and `disagreement`, which add up to 1.

        >>> sampling = await client.sampling.set("pet-cnn", "production", rate_per_day=50)
        >>> sampling.rate_per_day, sampling.mix.margin
        (50, 0.7)
        """
        fields = {"rate_per_day": rate_per_day, "keep_days": keep_days, "max_bytes": max_bytes, "votes": votes}
        body = given(**fields, mix=None if mix is None else dict(mix))
        return parsed(AliasSampling, await self._http.call("PUT", _path(model, alias), json=body))

    async def stop(self, model: str, alias: str) -> None:
        """Turn sampling off for an alias; images in the queue stay."""
        await self._http.delete(_path(model, alias))


def _path(model: str, alias: str) -> str:
    return path("models", model, "aliases", alias, "review")

"""Pipelines: automatic retraining."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from contract.pipelines import Pipeline, PipelineRun
from tidepool_client._async.transport import AsyncTransport
from tidepool_client.references import path
from tidepool_client.responses import given, parsed

Options = Mapping[str, Any] | None


class AsyncPipelines:
    """`client.pipelines`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
        self,
        name: str,
        *,
        model: str,
        dataset: str,
        alias: str | None = None,
        when: Options = None,
        train: Options = None,
        gate: Options = None,
        promote: bool | None = None,
        shadow_hours: float | None = None,
    ) -> Pipeline:
        """Create a pipeline that retrains a model with what people have reviewed.

        `when` has `cron` (in UTC), `labels` or `drift`; `train` has fields of a training, and `gate` says how much
        better a candidate must be.

        >>> pipeline = await client.pipelines.create(
        ...     "pets-retrained", model="pet-cnn", dataset="pets", when={"cron": "0 3 * * *", "labels": 200}
        ... )
        >>> pipeline.schedule, pipeline.gate.better_by
        ('At 03:00 every day', 0.005)
        """
        options = given(alias=alias, promote=promote, shadow_hours=shadow_hours)
        documents = {"when": when, "train": train, "gate": gate}
        options |= {field: dict(document) for field, document in documents.items() if document is not None}
        body = {"name": name, "model": model, "dataset": dataset} | options
        return parsed(Pipeline, await self._http.create(path("pipelines"), json=body))

    async def list(self, *, limit: int | None = None) -> AsyncIterator[Pipeline]:
        """Yield the pipelines by name, each with its newest run."""
        async for pipeline in self._http.pages(Pipeline, path("pipelines"), limit):
            yield pipeline

    async def get(self, name: str) -> Pipeline:
        """Return a pipeline with its newest run."""
        return parsed(Pipeline, await self._http.call("GET", path("pipelines", name)))

    async def pause(self, name: str, *, paused: bool = True) -> Pipeline:
        """Stop a pipeline from starting runs by itself, or resume it with `paused=False`."""
        return parsed(Pipeline, await self._http.call("PATCH", path("pipelines", name), json={"paused": paused}))

    async def delete(self, name: str) -> None:
        """Delete a pipeline with its runs; the versions that they made stay."""
        await self._http.delete(path("pipelines", name))

    async def run(self, name: str) -> PipelineRun:
        """Start a run now."""
        return parsed(PipelineRun, await self._http.create(path("pipelines", name, "runs")))

    async def runs(self, name: str, *, limit: int | None = None) -> AsyncIterator[PipelineRun]:
        """Yield the runs of a pipeline, newest first, with the gate's decision and its reason."""
        async for run in self._http.pages(PipelineRun, path("pipelines", name, "runs"), limit):
            yield run

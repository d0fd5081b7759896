"""The Python client: one method per thing a script does with Tidepool, over REST alone."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from contract.base import Frozen
from contract.catalog import Alias, DatasetVersion, ModelVersion
from contract.events import JobEvent
from contract.jobs import Job, JobState
from contract.pools import Pool, PoolChange
from contract.predictions import ImageResult, Prediction
from tidepool.client.events import events_in
from tidepool.client.transport import COME_BACK, RETRIES, Transport
from tidepool.client.upload import OnBytes, WatchedFile
from tidepool.errors import ApiError, JobUnsuccessful

LOOK = 0.3  # seconds between looks at a job whose progress is shown, or tries of its events
LONG_POLL = 30  # seconds
PASSING = {0, *COME_BACK}  # the status of an answer that another try may better; 0 is none at all
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp", b"BM": "image/bmp"}


class Answer(Frozen):
    """The predictions for one picture, best first, and where the milliseconds went."""

    model: str
    version: int
    predictions: tuple[Prediction, ...]
    timing_ms: dict[str, float]


class Client:
    """Every method raises ApiError for an answer that is not a success."""

    def __init__(self, url: str, key: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._transport = Transport(url, key, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def upload_dataset(
        self,
        name: str,
        archive: Path,
        *,
        spec: dict[str, Any] | None = None,
        on_bytes: OnBytes = lambda sent, size: None,
    ) -> Job:
        """Stream a zip from disk into a new version of a data set; the answer is the preprocessing job."""
        with WatchedFile(archive, on_bytes) as file:
            form = {"archive": (archive.name, file, "application/zip")} | _document("spec", spec)
            return Job.model_validate(self._create(f"/v1/datasets/{name}/versions", files=form))

    def upload_model(
        self,
        name: str,
        model: Path,
        *,
        metadata: dict[str, Any] | None = None,
        on_bytes: OnBytes = lambda sent, size: None,
    ) -> Job:
        """Stream an ONNX file from disk into a new version of a model; the answer is the vetting job."""
        with WatchedFile(model, on_bytes) as file:
            form = {"model": (model.name, file, "application/octet-stream")} | _document("metadata", metadata)
            return Job.model_validate(self._create(f"/v1/models/{name}/versions", files=form))

    def train(self, *, dataset: str, model: str, **spec: Any) -> Job:
        """Start a training job; what is left out of the spec is the architecture's own recipe."""
        body = {"kind": "train", "spec": {"dataset": dataset, "model": model, **spec}}
        return Job.model_validate(self._create("/v1/jobs", json=body))

    def job(self, job_id: str, *, wait: int = 0) -> Job:
        """The job now, or when it has ended, but after `wait` seconds at the latest."""
        return Job.model_validate(self._transport.call("GET", f"/v1/jobs/{job_id}", params={"wait": wait}))

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; one that runs is told at its next heartbeat."""
        return Job.model_validate(self._transport.call("POST", f"/v1/jobs/{job_id}/cancel"))

    def wait(self, job_id: str, on_progress: Callable[[Job], None] | None = None) -> Job:
        """The job when it has succeeded; raises JobUnsuccessful if it ends in another way."""
        while True:
            job = self.job(job_id, wait=0 if on_progress else LONG_POLL)
            if on_progress:
                on_progress(job)
            if job.state.terminal:
                break
            if on_progress:
                time.sleep(LOOK)
        if job.state is not JobState.SUCCEEDED:
            raise JobUnsuccessful(job)
        return job

    def events(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """What happens to a job after its event number `after`, until it ends; a broken stream is taken up again."""
        fruitless = 0
        while True:
            try:
                headers = {"Last-Event-ID": str(after)}
                for event in events_in(self._transport.stream(f"/v1/jobs/{job_id}/events", headers)):
                    after, fruitless = event.id, 0
                    yield event
                return
            except ApiError as error:
                fruitless += 1
                if error.status not in PASSING or fruitless > RETRIES:
                    raise
            time.sleep(LOOK)

    def dataset(self, name: str, version: int) -> DatasetVersion:
        return DatasetVersion.model_validate(self._transport.call("GET", f"/v1/datasets/{name}/versions/{version}"))

    def model(self, name: str, version: int) -> ModelVersion:
        return ModelVersion.model_validate(self._transport.call("GET", f"/v1/models/{name}/versions/{version}"))

    def set_alias(self, model: str, alias: str, version: int) -> Alias:
        """Point an alias at a version, in one step."""
        path = f"/v1/models/{model}/aliases/{alias}"
        return Alias.model_validate(self._transport.call("PUT", path, json={"version": version}))

    def split_alias(self, model: str, alias: str, versions: dict[int, int], shadow: int | None = None) -> Alias:
        """Share an alias's requests among versions, by percentages; the shadow gets a copy of each."""
        path = f"/v1/models/{model}/aliases/{alias}"
        return Alias.model_validate(self._transport.call("PUT", path, json={"versions": versions, "shadow": shadow}))

    def predict(
        self, model: str, image: bytes, *, top_k: int = 1, alias: str | None = None, version: int | None = None
    ) -> Answer:
        """Classify one JPEG, PNG, WebP or BMP file; without alias and version by the newest version."""
        answer = self._transport.call(
            "POST",
            f"/v1/models/{model}/predict",
            params=_which(top_k, alias, version),
            content=image,
            headers={"Content-Type": media_type(image)},
        )
        return Answer.model_validate(answer)

    def predict_many(
        self,
        model: str,
        images: Sequence[bytes],
        *,
        top_k: int = 1,
        alias: str | None = None,
        version: int | None = None,
    ) -> list[ImageResult]:
        """Classify many in one request, or in halves where that is too large; results in the order of the images."""
        try:
            answer = self._transport.call(
                "POST",
                f"/v1/models/{model}/predict",
                params=_which(top_k, alias, version),
                files=[("image", (str(index), image, media_type(image))) for index, image in enumerate(images)],
            )
        except ApiError as error:
            if error.status != httpx.codes.REQUEST_ENTITY_TOO_LARGE or len(images) == 1:
                raise
            middle = len(images) // 2
            return [
                result
                for half in (images[:middle], images[middle:])
                for result in self.predict_many(model, half, top_k=top_k, alias=alias, version=version)
            ]
        return [ImageResult.model_validate(result) for result in answer["results"]]

    def pools(self) -> tuple[Pool, ...]:
        """How many replicas each pool should have and has, and what waits for them."""
        return tuple(Pool.model_validate(pool) for pool in self._transport.call("GET", "/v1/pools")["items"])

    def scale(self, pool: str, replicas: int) -> Pool:
        """Keep a pool at one size."""
        return self._set_pool(pool, {"mode": "manual", "replicas": replicas})

    def autoscale(self, pool: str, **policy: float | None) -> Pool:
        """Let a pool follow its load by the fields of ScalingPolicy; those left out stay as they are."""
        return self._set_pool(pool, {"mode": "auto", **policy})

    def pool_history(self, pool: str, *, limit: int = 50) -> tuple[PoolChange, ...]:
        """The last changes of what a pool is meant to be, newest first, and their reasons."""
        page = self._transport.call("GET", f"/v1/pools/{pool}/history", params={"limit": limit})
        return tuple(PoolChange.model_validate(change) for change in page["items"])

    def _set_pool(self, pool: str, body: dict[str, Any]) -> Pool:
        return Pool.model_validate(self._transport.call("PATCH", f"/v1/pools/{pool}", json=body))

    def _create(self, path: str, **arguments: Any) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex}  # so that a retry never makes a second one
        return self._transport.call("POST", path, headers=headers, **arguments)


def media_type(image: bytes) -> str:
    """The media type that the first bytes of a file tell; the server refuses `application/octet-stream`."""
    return next((kind for magic, kind in MAGIC.items() if image.startswith(magic)), "application/octet-stream")


def _document(part: str, value: dict[str, Any] | None) -> dict[str, Any]:
    return {} if value is None else {part: (None, json.dumps(value), "application/json")}


def _which(top_k: int, alias: str | None, version: int | None) -> dict[str, str | int]:
    named: dict[str, str | int | None] = {"top_k": top_k, "alias": alias, "version": version}
    return {name: value for name, value in named.items() if value is not None}

"""The Python client of the REST API."""

import json
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from contract.access import ApiKey, NewApiKey, Role, Scope
from contract.base import Frozen
from contract.catalog import Alias, DatasetVersion, ModelVersion
from contract.jobs import Job, JobEvent, JobState
from contract.pools import Pool, PoolChange
from contract.predictions import ImageResult, Prediction
from contract.variants import VariantName
from tidepool.client.folder import FolderZip
from tidepool.client.transport import RETRIES, RETRYABLE, OnBytes, Transport, UploadFile
from tidepool.errors import ApiError, JobUnsuccessful

POLL_S = 0.3  # between polls of a job whose progress is shown, and between reconnects to its events
LONG_POLL_S = 30
TRANSIENT = {0, *RETRYABLE}  # HTTP statuses after which the event stream reconnects; 0 means no response
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp", b"BM": "image/bmp"}


class ImagePrediction(Frozen):
    """The predictions for one image, best first, and the milliseconds spent in each step."""

    model: str
    version: int
    model_variant: VariantName = "fp32"  # older servers do not say it
    predictions: tuple[Prediction, ...]
    timing_ms: dict[str, float]


class Client:
    """Every method raises ApiError if the request fails.

    For `https://…`, the CAs are those of the package certifi, or those in the file that SSL_CERT_FILE names.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`verify` is httpx's: a context that says which certificates to trust."""
        self._transport = Transport(url, key, transport, verify)

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
        """Upload a folder, a zip or a tar from disk as a new dataset version; returns the preprocessing job.

        A folder is sent as a zip that is never written to disk. Raises UserFacingError if it has no files.
        """
        is_folder = archive.is_dir()
        filename = f"{archive.resolve().name}.zip" if is_folder else archive.name
        with FolderZip(archive, on_bytes) if is_folder else UploadFile(archive, on_bytes) as file:
            form = {"archive": (filename, file, "application/octet-stream")} | _json_part("spec", spec)
            return Job.model_validate(self._create(f"/v1/datasets/{name}/versions", files=form))

    def prepare_dataset(self, name: str, source: str, *, spec: dict[str, Any] | None = None) -> Job:
        """Make a new dataset version of the objects below `s3://bucket/prefix`; returns the preprocessing job.

        The operator must allow the bucket.
        """
        body = {"source": {"s3": source}, **(spec or {})}
        return Job.model_validate(self._create(f"/v1/datasets/{name}/versions", json=body))

    def upload_model(
        self,
        name: str,
        model: Path,
        *,
        metadata: dict[str, Any] | None = None,
        on_bytes: OnBytes = lambda sent, size: None,
    ) -> Job:
        """Upload an ONNX file from disk as a new model version; returns the vetting job."""
        with UploadFile(model, on_bytes) as file:
            form = {"model": (model.name, file, "application/octet-stream")} | _json_part("metadata", metadata)
            return Job.model_validate(self._create(f"/v1/models/{name}/versions", files=form))

    def train(self, *, dataset: str, model: str, **spec: Any) -> Job:
        """Start a training job; fields left out of the spec come from the architecture's recipe."""
        body = {"kind": "train", "spec": {"dataset": dataset, "model": model, **spec}}
        return Job.model_validate(self._create("/v1/jobs", json=body))

    def evaluate(self, *, model: str, dataset: str, **spec: Any) -> Job:
        """Start an evaluation: `split` is `test` by default, `compare_with` another model on the same images."""
        body = {"kind": "evaluate", "spec": {"model": model, "dataset": dataset, **spec}}
        return Job.model_validate(self._create("/v1/jobs", json=body))

    def job(self, job_id: str, *, wait: int = 0) -> Job:
        """Return the job; with `wait`, block until it ends or `wait` seconds have passed."""
        return Job.model_validate(self._transport.call("GET", f"/v1/jobs/{job_id}", params={"wait": wait}))

    def cancel(self, job_id: str, *, keep_best: bool = False) -> Job:
        """Cancel a job; a running job stops within seconds.

        With `keep_best`, a training that has finished an epoch ends as succeeded, with its best model so far.
        """
        body = {"keep_best": keep_best}
        return Job.model_validate(self._transport.call("POST", f"/v1/jobs/{job_id}/cancel", json=body))

    def wait(self, job_id: str, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Block until the job has succeeded and return it; raises JobUnsuccessful if it ends in another state."""
        while True:
            job = self.job(job_id, wait=0 if on_progress else LONG_POLL_S)
            if on_progress:
                on_progress(job)
            if job.state.terminal:
                break
            if on_progress:
                time.sleep(POLL_S)
        if job.state is not JobState.SUCCEEDED:
            raise JobUnsuccessful(job)
        return job

    def events(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Yield the job's events after event number `after` until the job ends.

        A broken stream resumes after the last event received. Raises ApiError if `RETRIES` reconnects in a row bring
        no event.
        """
        failures = 0
        while True:
            try:
                headers = {"Last-Event-ID": str(after)}
                for event in self._transport.events(f"/v1/jobs/{job_id}/events", headers):
                    if event.data:  # a keep-alive comment arrives as an event without data
                        after, failures = int(event.id), 0
                        yield JobEvent.model_validate({"id": after, "kind": event.event, **event.json()})
                return
            except ApiError as error:
                failures += 1
                if error.status not in TRANSIENT or failures > RETRIES:
                    raise
            time.sleep(POLL_S)

    def dataset(self, name: str, version: int) -> DatasetVersion:
        return DatasetVersion.model_validate(self._transport.call("GET", f"/v1/datasets/{name}/versions/{version}"))

    def model(self, name: str, version: int) -> ModelVersion:
        return ModelVersion.model_validate(self._transport.call("GET", f"/v1/models/{name}/versions/{version}"))

    def model_card(self, name: str, version: int) -> str:
        """Return the model card of a version, as Markdown."""
        return self._transport.text(f"/v1/models/{name}/versions/{version}/card")

    def export_model(self, name: str, version: int, path: Path, *, variant: VariantName | None = None) -> None:
        """Write a version as a zip that works without a server; with the variant that serves, unless one is given."""
        params: dict[str, str] = {} if variant is None else {"variant": variant}
        self._transport.download(f"/v1/models/{name}/versions/{version}/export", path, params)

    def pin_variant(self, name: str, version: int, variant: VariantName) -> ModelVersion:
        """Let this variant of a version answer."""
        path = f"/v1/models/{name}/versions/{version}/variants/{variant}/serving"
        return ModelVersion.model_validate(self._transport.call("PUT", path))

    def lift_quarantine(self, name: str, version: int) -> ModelVersion:
        """Let a version serve again that was quarantined because its runs took too long."""
        path = f"/v1/models/{name}/versions/{version}/quarantine"
        return ModelVersion.model_validate(self._transport.call("DELETE", path))

    def unpin_variant(self, name: str, version: int, variant: VariantName) -> ModelVersion:
        """Let the variant answer again that training chose."""
        path = f"/v1/models/{name}/versions/{version}/variants/{variant}/serving"
        return ModelVersion.model_validate(self._transport.call("DELETE", path))

    def set_alias(self, model: str, alias: str, version: int) -> Alias:
        """Point an alias at a version, atomically."""
        path = f"/v1/models/{model}/aliases/{alias}"
        return Alias.model_validate(self._transport.call("PUT", path, json={"version": version}))

    def split_alias(self, model: str, alias: str, versions: dict[int, int], shadow: int | None = None) -> Alias:
        """Split an alias's requests among versions by percentage; the shadow version gets a copy of each request."""
        path = f"/v1/models/{model}/aliases/{alias}"
        return Alias.model_validate(self._transport.call("PUT", path, json={"versions": versions, "shadow": shadow}))

    def predict(
        self, model: str, image: bytes, *, top_k: int = 1, alias: str | None = None, version: int | None = None
    ) -> ImagePrediction:
        """Classify one image file; uses the newest version unless an alias or a version is given."""
        response = self._transport.call(
            "POST",
            f"/v1/models/{model}/predict",
            params=_predict_params(top_k, alias, version),
            content=image,
            headers={"Content-Type": media_type(image)},
        )
        return ImagePrediction.model_validate(response)

    def predict_many(
        self,
        model: str,
        images: Sequence[bytes],
        *,
        top_k: int = 1,
        alias: str | None = None,
        version: int | None = None,
    ) -> list[ImageResult]:
        """Classify images in one request, in the order given; splits the request in half if the server says 413."""
        try:
            response = self._transport.call(
                "POST",
                f"/v1/models/{model}/predict",
                params=_predict_params(top_k, alias, version),
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
        return [ImageResult.model_validate(result) for result in response["results"]]

    def pools(self) -> tuple[Pool, ...]:
        """Return each pool's desired and actual replicas and its queue."""
        return tuple(Pool.model_validate(pool) for pool in self._transport.call("GET", "/v1/pools")["items"])

    def scale(self, pool: str, replicas: int) -> Pool:
        """Set a pool to manual mode with this many replicas."""
        return self._set_pool(pool, {"mode": "manual", "replicas": replicas})

    def autoscale(self, pool: str, **policy: float | None) -> Pool:
        """Set a pool to automatic mode; fields of ScalingPolicy that are left out keep their values."""
        return self._set_pool(pool, {"mode": "auto", **policy})

    def pool_history(self, pool: str, *, limit: int = 50) -> tuple[PoolChange, ...]:
        """Return the pool's last scaling decisions and their reasons, newest first."""
        page = self._transport.call("GET", f"/v1/pools/{pool}/history", params={"limit": limit})
        return tuple(PoolChange.model_validate(change) for change in page["items"])

    def keys(self) -> tuple[ApiKey, ...]:
        """Return the API keys, without their secrets, oldest first."""
        return tuple(ApiKey.model_validate(key) for key in self._transport.call("GET", "/v1/keys")["items"])

    def create_key(self, name: str, access: Role | Sequence[Scope], *, expires_at: datetime | None = None) -> NewApiKey:
        """Create an API key with a role or with scopes; only the returned value has its secret."""
        body: dict[str, Any] = {"name": name}
        body |= {"role": access} if isinstance(access, Role) else {"scopes": list(access)}
        body |= {} if expires_at is None else {"expires_at": expires_at.isoformat()}
        return NewApiKey.model_validate(self._create("/v1/keys", json=body))

    def revoke_key(self, key_id: str) -> None:
        """Delete an API key."""
        self._transport.call("DELETE", f"/v1/keys/{key_id}")

    def _set_pool(self, pool: str, body: dict[str, Any]) -> Pool:
        return Pool.model_validate(self._transport.call("PATCH", f"/v1/pools/{pool}", json=body))

    def _create(self, path: str, **arguments: Any) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex}  # a retry must not create a second job
        return self._transport.call("POST", path, headers=headers, **arguments)


def media_type(image: bytes) -> str:
    """Return the media type by the file's first bytes, else `application/octet-stream`; the server decides itself."""
    return next((kind for magic, kind in MAGIC.items() if image.startswith(magic)), "application/octet-stream")


def _json_part(part: str, value: dict[str, Any] | None) -> dict[str, Any]:
    return {} if value is None else {part: (None, json.dumps(value), "application/json")}


def _predict_params(top_k: int, alias: str | None, version: int | None) -> dict[str, str | int]:
    params: dict[str, str | int | None] = {"top_k": top_k, "alias": alias, "version": version}
    return {name: value for name, value in params.items() if value is not None}

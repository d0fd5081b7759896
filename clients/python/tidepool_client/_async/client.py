"""The client."""

import os
import ssl
from types import TracebackType
from typing import Any, Self

import httpx

from contract.access import ApiKey
from contract.health import HealthReport
from tidepool_client._async.access import AsyncAudit, AsyncKeys, AsyncProjects
from tidepool_client._async.backbones import AsyncBackbones
from tidepool_client._async.datasets import AsyncDatasets, Options
from tidepool_client._async.images import AsyncImages
from tidepool_client._async.jobs import AsyncJob, AsyncJobs
from tidepool_client._async.models import AsyncModels
from tidepool_client._async.pipelines import AsyncPipelines
from tidepool_client._async.pools import AsyncPools, AsyncUsage
from tidepool_client._async.reviews import AsyncReviews
from tidepool_client._async.sampling import AsyncSampling
from tidepool_client._async.transport import AsyncTransport
from tidepool_client._async.uploads import AsyncUploads
from tidepool_client.errors import InvalidInput
from tidepool_client.files import FilePath, Image, OnBytes
from tidepool_client.folder import dataset_name
from tidepool_client.references import parse
from tidepool_client.responses import ImagePrediction, Liveness, Readiness, parsed

TIMEOUT = httpx.Timeout(90.0, connect=5.0)  # a long poll takes up to 60 s
RETRIES = 5
URL, KEY, PROJECT = "TIDEPOOL_URL", "TIDEPOOL_API_KEY", "TIDEPOOL_PROJECT"


class AsyncClient:
    """A client of one deployment. Every method raises ClientError if the request fails; see `tidepool_client.errors`.

    The address, the API key and the project come from TIDEPOOL_URL, TIDEPOOL_API_KEY and TIDEPOOL_PROJECT, unless they
    are given. A project needs a key with the scope `admin`; other keys belong to one.

    For `https://…`, the CAs are those of the package certifi, or those in the file that SSL_CERT_FILE names.

    >>> job = await client.upload("pets")  # a folder with a folder for each class
    >>> job = await job.wait()
    >>> job = await client.train("pets", budget={"minutes": 5})
    >>> job = await job.wait()
    >>> prediction = await client.predict("pets", "photo.png")
    >>> prediction.label, prediction.score
    ('cat', 0.75)
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        project: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: int = RETRIES,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout` and `verify` are httpx's. `retries` are those of one request, with growing pauses."""
        url, key = url or os.environ.get(URL), key or os.environ.get(KEY)
        if not url or not key:
            raise InvalidInput(f"Give the address and an API key, or set {URL} and {KEY}.")
        headers = {"Authorization": f"Bearer {key.strip()}"}
        if project := project or os.environ.get(PROJECT):
            headers["Tidepool-Project"] = project
        if not "".join(headers.values()).isprintable() or not "".join(headers.values()).isascii():
            raise InvalidInput("The API key or the project has characters that none has; copy it again.")
        options: dict[str, Any] = {"timeout": timeout, "retries": retries, "verify": verify, "transport": transport}
        self._http = AsyncTransport(url, headers, **options)
        self.jobs = AsyncJobs(self._http)
        self.uploads = AsyncUploads(self._http)
        self.datasets = AsyncDatasets(self._http, self.jobs, self.uploads)
        self.images = AsyncImages(self._http, self.jobs)
        self.models = AsyncModels(self._http, self.jobs)
        self.sampling = AsyncSampling(self._http)
        self.backbones = AsyncBackbones(self._http, self.jobs)
        self.reviews = AsyncReviews(self._http)
        self.pipelines = AsyncPipelines(self._http)
        self.pools = AsyncPools(self._http)
        self.usage = AsyncUsage(self._http)
        self.keys = AsyncKeys(self._http)
        self.projects = AsyncProjects(self._http, self.jobs)
        self.audit = AsyncAudit(self._http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def url(self) -> str:
        """The address of the deployment."""
        return self._http.url

    async def upload(
        self, source: FilePath, name: str | None = None, *, spec: Options = None, on_bytes: OnBytes | None = None
    ) -> AsyncJob:
        """Upload a folder, a zip or a tar of images as a new dataset version, named after the file unless named.

        Returns the preprocessing job. `s3://bucket/prefix` works too, if the operator allows the bucket.

        >>> job = await client.upload("Pets 2026.zip")
        >>> job.spec["dataset"]
        'pets-2026'
        >>> job = await job.wait(on_progress=lambda job: print(job.state))
        succeeded
        >>> job.result["classes"]
        ['cat', 'dog']
        """
        if str(source).startswith("s3://"):
            return await self.datasets.create(name or dataset_name(source), str(source), spec=spec)
        return await self.datasets.upload(name or dataset_name(source), source, spec=spec, on_bytes=on_bytes)

    async def train(self, dataset: str, model: str | None = None, **spec: Any) -> AsyncJob:
        """Start a training; the model is named after the dataset unless named.

        Fields of the spec that are left out are decided from the data, such as `method`, `init_from`, `budget`. With
        `search`, several trainings find the best settings; `folds` measures how good such a training is.

        >>> job = await client.train("pets", "pet-cnn", method="probe")
        >>> job.kind, job.state
        ('train', <JobState.QUEUED: 'queued'>)
        """
        return await self.jobs.create("train", {"dataset": dataset, "model": model or parse(dataset).name, **spec})

    async def evaluate(self, model: str, dataset: str, **spec: Any) -> AsyncJob:
        """Start an evaluation: `split` is `test` by default, `compare_with` another model on the same images.

        >>> job = await client.evaluate("pet-cnn@2", "pets", compare_with="pet-cnn@production")
        >>> job = await job.wait()
        >>> job.parsed_result.metrics.accuracy
        0.5
        """
        return await self.jobs.create("evaluate", {"model": model, "dataset": dataset, **spec})

    async def predict(self, model: str, image: Image, *, top_k: int = 1) -> ImagePrediction:
        """Classify one image: its bytes, its path or an open file; see `client.models.predict`.

        >>> prediction = await client.predict("pet-cnn@production", "photo.png", top_k=2)
        >>> [(best.label, best.score) for best in prediction.predictions]
        [('cat', 0.75), ('dog', 0.25)]
        """
        return await self.models.predict(model, image, top_k=top_k)

    async def me(self) -> ApiKey:
        """Return the key that the client uses.

        >>> key = await client.me()
        >>> key.role
        <Role.ADMIN: 'admin'>
        """
        return await self.keys.me()

    async def console_link(self) -> str:
        """Return an address of the console that signs a browser in once as this key, within 15 minutes.

        It is a secret until it is used. Raises NotFound if the server has no console.

        >>> link = await client.console_link()
        >>> link.partition("?")[0]
        'http://tidepool/sign-in'
        """
        link = await self._http.call("POST", "/console/links", repeatable=False)
        return f"{self.url}{link['path']}"

    async def live(self) -> Liveness:
        """Return if the process answers; raises ClientError otherwise."""
        return parsed(Liveness, await self._http.call("GET", "/livez"))

    async def ready(self) -> Readiness:
        """Say which servers the gateway reaches; raises Unavailable if no job can be accepted.

        >>> (await client.ready()).database
        'ok'
        """
        return parsed(Readiness, await self._http.call("GET", "/readyz"))

    async def health(self) -> HealthReport:
        """Check every component of the deployment; needs a key with the scope `admin`."""
        return parsed(HealthReport, await self._http.call("GET", "/v1/health"))

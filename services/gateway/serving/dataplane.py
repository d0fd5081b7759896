"""The Open Inference Protocol, version 2, without a transport; HTTP and gRPC both call it."""

from dataclasses import dataclass

from msgspec import Struct
from starlette.concurrency import run_in_threadpool

from contract.catalog import Model
from contract.errors import BadModel, Invalid, NotFound, TidepoolError
from contract.inference import Outputs, Tensor, Tensors
from services.gateway.edge.ttl_cache import TtlCache
from services.gateway.serving.batching.batcher import InferenceClient, Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.routing import Routing, Shadows
from services.gateway.serving.served import Served, reference_to
from services.storage.stores import Stores

NAME = "tidepool"
VERSION = "1"
PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("binary_tensor_data", "classification", "model_repository", "parameters")
READY = "READY"
PAGE = 200


class Inferred(Struct, frozen=True):
    """A model's outputs, and the version that computed them; if it is `batched`, their first axis is a batch."""

    model: str
    version: int
    tensors: tuple[Tensor, ...]
    labels: tuple[str, ...] = ()
    batched: bool = True


@dataclass(frozen=True, slots=True)
class ServedMetadata:
    """A model's versions, and the signature of the requested one."""

    versions: tuple[int, ...]
    served: Served


@dataclass(frozen=True, slots=True)
class Indexed:
    """A version in the repository index."""

    name: str
    version: int
    state: str = READY


class DataPlane:
    """The protocol's operations on the models of a project.

    Every published version is ready, because replicas load models on demand and evict unused ones. So `load` makes a
    replica load the model now, and `unload` succeeds without any effect; neither hides a model, only
    DELETE /v1/models does. Names are those of /v1; a version is a number or an alias, and "" is the newest version.
    """

    def __init__(self, stores: Stores, inference: InferenceClient, within_s: float) -> None:
        """`within_s` is the timeout, in seconds, of requests that give none."""
        self._stores = stores
        self.inference = inference
        self.within_s = within_s
        self._shadows = Shadows(inference)

        def read(key: tuple[str, str, str]) -> Routing[Served]:
            project, model, version = key
            return Routing.of(stores.of(project).models.route(reference_to(model, version)), Served.of)

        self._routings: TtlCache[tuple[str, str, str], Routing[Served]] = TtlCache(read)

    def forget(self) -> None:
        """Drop cached routings; call it after a version or an alias has changed."""
        self._routings.forget()

    async def ready(self) -> bool:
        """Return whether the broker answers."""
        try:
            await self.inference.ping()
        except TidepoolError:
            return False
        return True

    async def model_ready(self, project: str, model: str, version: str = "") -> bool:
        """Return whether the version exists; raises DatabaseUnavailable."""
        try:
            await self._find(project, model, version)
        except (NotFound, Invalid):
            return False
        return True

    async def model_metadata(self, project: str, model: str, version: str = "") -> ServedMetadata:
        """Return a model's versions, and the tensors of the requested one; raises NotFound, Invalid, BadModel."""
        served = (await self._find(project, model, version)).versions[0]
        if version or "@" in model:
            return ServedMetadata((served.target.version,), served)
        row = await run_in_threadpool(self._stores.of(project).models.named, model)
        return ServedMetadata(tuple(sorted(row.versions)), served)

    async def infer(
        self, project: str, model: str, version: str, tensors: Tensors, within_s: float | None = None
    ) -> Inferred:
        """Run a version and return the requested outputs, or all of them.

        Raises NotFound, Invalid for tensors that the model does not take, and what `InferenceClient.ask` raises.
        """
        within_s = within_s or self.within_s
        served = self._choose(await self._find(project, model, version), tensors, within_s)
        return inferred(served, await self.inference.ask(served.target, tensors, within_s))

    def peek(self, project: str, model: str, version: str) -> Routing[Served] | None:
        """Return a model's routing if it is cached."""
        return self._routings.peek((project, model, version))

    def post(
        self, routing: Routing[Served], tensors: Tensors, within_s: float | None, request_id: str, then: Then
    ) -> tuple[Served, Leave]:
        """Callback form of `infer` for a known routing; creates no Future. Raises Invalid, Overloaded."""
        within_s = within_s or self.within_s
        served = self._choose(routing, tensors, within_s)
        return served, self.inference.post(served.target, tensors, within_s, request_id, then)

    async def index(self, project: str) -> list[Indexed]:
        """Return every version of every model, by name, oldest version first."""
        models: list[Model] = []
        cursor: str | None = None
        while True:
            page = await run_in_threadpool(self._stores.of(project).models.list, PAGE, cursor)
            models.extend(page.items)
            cursor = page.next
            if cursor is None:
                return [Indexed(model.name, version) for model in models for version in sorted(model.versions)]

    async def load(self, project: str, model: str) -> None:
        """Make a replica load the model; raises NotFound, BadModel, and what `InferenceClient.ask` raises."""
        served = (await self._find(project, model)).versions[0]
        try:
            await self.inference.ask(served.target, Tensors(()), self.within_s)
        except BadModel:
            raise
        except Invalid:  # expected: the model has been loaded, and the request has no inputs
            return

    async def unload(self, project: str, model: str) -> None:
        """Do nothing, but raise NotFound for an unknown model."""
        await self._find(project, model)

    async def _find(self, project: str, model: str, version: str = "") -> Routing[Served]:
        return await self._routings.get((project, model, version))

    def _choose(self, routing: Routing[Served], tensors: Tensors, within_s: float) -> Served:
        """Choose the version that answers, and copy the request to its shadow; raises Invalid for unfit tensors."""
        served = routing.choose()
        served.check(tensors)
        if routing.shadow is not None:
            self._shadows.copy(routing.shadow.target, tensors, within_s)
        return served


def inferred(served: Served, answer: BatchedAnswer) -> Inferred:
    """Convert the pool's answer to the protocol's terms."""
    assert isinstance(answer.answer, Outputs)  # noqa: S101  Tensors are only answered by Outputs
    target = served.target
    return Inferred(target.model, target.version, answer.answer.tensors, served.labels, target.batched)

"""The Open Inference Protocol, version 2, without a transport: what HTTP and gRPC are two faces of."""

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from contract.catalog import Model
from contract.errors import BadModel, Invalid, NotFound, TidepoolError
from contract.inference import Outputs, Target, Tensor, Tensors
from services.gateway.edge.recent import Recent
from services.gateway.serving.batching.batcher import Asker
from services.gateway.serving.batching.request import Answered
from services.gateway.serving.served import Served, reference_to
from services.gateway.serving.traffic import Shadows, Traffic
from services.storage.catalog.models import Models

NAME = "tidepool"
VERSION = "1"
PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("binary_tensor_data", "model_repository", "parameters")
READY = "READY"
PAGE = 200


@dataclass(frozen=True, slots=True)
class Inferred:
    """A model's answer, and which version gave it."""

    model: str
    version: int
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A model's versions, and the signature of the one that was asked for."""

    versions: tuple[int, ...]
    served: Served


@dataclass(frozen=True, slots=True)
class Indexed:
    """A version in the repository."""

    name: str
    version: int
    state: str = READY


class DataPlane:
    """Every published version is ready: replicas load on demand and let go of what is not used.

    So `load` asks a replica to load now, and `unload` is granted and changes nothing; neither hides a model, which
    DELETE /v1/models does. Names are those of /v1; a version is a number or an alias, and none is the newest.
    """

    def __init__(self, models: Models, asker: Asker, within_s: float) -> None:
        """A question may take `within_s` seconds where it does not say how long."""
        self._models = models
        self.asker = asker
        self.within_s = within_s
        self._shadows = Shadows(asker)
        self._traffic: Recent[tuple[str, str], Traffic[Served]] = Recent(
            lambda asked: Traffic.of(models.route(reference_to(*asked)), Served.of)
        )

    def forget(self) -> None:
        """A version or an alias has changed."""
        self._traffic.forget()

    async def ready(self) -> bool:
        """Whether the way to the pool is open."""
        try:
            await self.asker.ping()
        except TidepoolError:
            return False
        return True

    async def model_ready(self, model: str, version: str = "") -> bool:
        """Whether there is such a version; raises DatabaseUnavailable."""
        try:
            await self._find(model, version)
        except (NotFound, Invalid):
            return False
        return True

    async def model_metadata(self, model: str, version: str = "") -> Metadata:
        """Raises NotFound, Invalid, BadModel."""
        served = (await self._find(model, version)).versions[0]
        if version or "@" in model:
            return Metadata((served.target.version,), served)
        found = await run_in_threadpool(self._models.named, model)
        return Metadata(tuple(sorted(found.versions)), served)

    async def infer(self, model: str, version: str, asked: Tensors, within_s: float | None = None) -> Inferred:
        """Ask a version for the named outputs, or for all of them.

        Raises NotFound, Invalid for tensors that the model does not take, and what `Asker.ask` raises.
        """
        within_s = within_s or self.within_s
        target = self.pin(await self._find(model, version), asked, within_s)
        return inferred(target, await self.asker.ask(target, asked, within_s))

    def peek(self, model: str, version: str) -> Traffic[Served] | None:
        """Who answers for a model, if it is known without a look into the database."""
        return self._traffic.peek((model, version))

    def pin(self, traffic: Traffic[Served], asked: Tensors, within_s: float) -> Target:
        """The version that answers these tensors; its shadow gets a copy. Raises Invalid if it does not take them."""
        served = traffic.choose()
        served.check(asked)
        if traffic.shadow is not None:
            self._shadows.copy(traffic.shadow.target, asked, within_s)
        return served.target

    async def index(self) -> list[Indexed]:
        """Every version of every model, by name, oldest version first."""
        found: list[Model] = []
        cursor: str | None = None
        while True:
            page = await run_in_threadpool(self._models.list, PAGE, cursor)
            found.extend(page.items)
            cursor = page.next
            if cursor is None:
                return [Indexed(model.name, version) for model in found for version in sorted(model.versions)]

    async def load(self, model: str) -> None:
        """Have a replica load the version that the name means; raises NotFound, BadModel, and what `ask` raises."""
        served = (await self._find(model)).versions[0]
        try:
            await self.asker.ask(served.target, Tensors(()), self.within_s)
        except BadModel:
            raise
        except Invalid:  # it is loaded, and wants inputs
            return

    async def unload(self, model: str) -> None:
        """Raises NotFound."""
        await self._find(model)

    async def _find(self, model: str, version: str = "") -> Traffic[Served]:
        return await self._traffic.get((model, version))


def inferred(target: Target, answered: Answered) -> Inferred:
    """What the pool answered for a version, in the protocol's terms."""
    assert isinstance(answered.answer, Outputs)  # noqa: S101  Tensors are not answered otherwise
    return Inferred(target.model, target.version, answered.answer.tensors)

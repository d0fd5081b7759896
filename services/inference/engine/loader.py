"""The only place that creates ONNX Runtime sessions."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

import structlog
from pydantic import ValidationError

from contract.errors import BadModel, Unavailable
from contract.models import METADATA_KEY, ModelCard
from services.inference.engine.errors import ORT_ERRORS
from services.inference.engine.half import halved
from services.inference.engine.model import LoadedModel
from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import CPU, CUDA, NAMES, Placement, Precision, Provider, on_gpu
from services.inference.engine.session import bound
from services.inference.settings import InferenceSettings

log = structlog.get_logger()


@dataclass
class Engine:
    """How this process runs models: pictures a batch, CPU threads a batch (0: one a core), and on which device.

    Raises ValueError if ONNX Runtime was built without the provider that `placement` asks for.
    """

    max_batch: int = 64
    threads: int = 1
    placement: Placement = field(default_factory=Placement)
    providers: list[Provider] = field(init=False)

    def __post_init__(self) -> None:
        self.providers = self.placement.providers(ort.get_available_providers())

    @classmethod
    def of(cls, settings: InferenceSettings) -> Self:
        """The engine that the environment asks for."""
        return cls(settings.max_batch, settings.threads, settings.placement)

    @property
    def batches_at_once(self) -> int:
        """Two on a GPU, which else waits while the next batch is decoded; one on a CPU, whose cores replicas fill."""
        best = self.providers[0]
        return 2 if on_gpu(best if isinstance(best, str) else best[0]) else 1

    def load(self, source: Path | bytes) -> LoadedModel:
        """Make a session of an ONNX file and warm it up.

        Raises BadModel if it is none, Unavailable if the device that was asked for does not work.
        """
        _share_arena()
        session = self._session(source)
        if self.placement.precision is Precision.FP16:
            session = self._halved(source, session)
        model = LoadedModel(bound(session, self.placement.device), _card(session), self.max_batch)
        model.warm_up()
        return model

    def _session(self, source: Path | bytes) -> ort.InferenceSession:
        try:
            session = ort.InferenceSession(source, self._options(), self.providers)
        except ORT_ERRORS:
            raise BadModel("the file is no ONNX graph that ONNX Runtime can load") from None
        # ONNX Runtime falls back to the CPU where a driver is missing, which is not what was asked for.
        if NAMES.get(self.placement.choice, session.get_providers()[0]) != session.get_providers()[0]:
            raise Unavailable(f"models cannot be loaded on the device, which is to be {self.placement.choice}")
        return session

    def _halved(self, source: Path | bytes, session: ort.InferenceSession) -> ort.InferenceSession:
        """A session in half precision, or the one given: TensorRT makes it so itself, and the CPU gains nothing."""
        provider = session.get_providers()[0]
        if provider == CPU:
            log.warning("half precision needs a device, models run in single precision", provider=provider)
        if provider != CUDA:
            return session
        try:
            return self._session(
                halved(source if isinstance(source, bytes) else source.read_bytes(), self.placement.cache)
            )
        except BadModel as error:
            log.warning("a model runs in single precision", reason=error.message)
            return session

    def _options(self) -> ort.SessionOptions:
        """ONNX Runtime's defaults, which are every graph optimisation and an arena, for replicas that share cores.

        `benchmarks/inference/ort_options.py` measures the choice. Optimised graphs are not kept: ADR 0016.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.log_severity_level = 3  # errors
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


@cache
def _share_arena() -> None:
    """Let every session of this process take its activations from one CPU arena.

    With an arena each, every model in memory would keep the peak of its largest batch: 15 MB for 150 kB of weights.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    limits = {"arena_extend_strategy": 1}  # grow by what is needed, not by powers of two
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(limits))


def _card(session: ort.InferenceSession) -> ModelCard | None:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        return None
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError:
        raise BadModel("the model card in the ONNX file is malformed") from None

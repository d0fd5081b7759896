"""Load ONNX files into ONNX Runtime sessions."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

import structlog
from pydantic import ValidationError

from contract.errors import BadModel, Unavailable
from contract.models import METADATA_KEY, ModelCard
from services.inference.engine.model import LoadedModel
from services.inference.engine.onnx_runtime import ORT_ERRORS, ort
from services.inference.engine.providers import NAMES, Placement, Provider, on_gpu
from services.inference.engine.session import bind
from services.inference.settings import InferenceSettings

log = structlog.get_logger()


@dataclass
class ModelLoader:
    """Loads models with the options of this process: images per batch, CPU threads per batch (0: one per core), device.

    Raises ValueError if ONNX Runtime was built without the provider of `placement`.
    """

    max_batch: int = 64
    threads: int = 1
    placement: Placement = field(default_factory=Placement)
    providers: list[Provider] = field(init=False)

    def __post_init__(self) -> None:
        self.providers = self.placement.providers(ort.get_available_providers())

    @classmethod
    def of(cls, settings: InferenceSettings) -> Self:
        """Return a loader with the options of the environment."""
        if settings.precision is not None:
            _warn_of_precision()
        return cls(settings.max_batch, settings.threads, settings.placement)

    @property
    def batches_at_once(self) -> int:
        """The default number of parallel batches: two on a GPU, which computes while images are decoded, else one."""
        best = self.providers[0]
        return 2 if on_gpu(best if isinstance(best, str) else best[0]) else 1

    def load(self, source: Path | bytes) -> LoadedModel:
        """Create a session for an ONNX file and warm it up.

        Raises BadModel if the file cannot be loaded, Unavailable if the configured device does not work.
        """
        _share_arena()
        session = self._session(source)
        model = LoadedModel(bind(session, self.placement.device), _card(session), self.max_batch)
        model.warm_up()
        return model

    def _session(self, source: Path | bytes) -> ort.InferenceSession:
        try:
            session = ort.InferenceSession(source, self._options(), self.providers)
        except ORT_ERRORS:
            raise BadModel("ONNX Runtime cannot load the file as an ONNX graph") from None
        # Without a driver, ONNX Runtime silently falls back to the CPU.
        if NAMES.get(self.placement.choice, session.get_providers()[0]) != session.get_providers()[0]:
            raise Unavailable(f"models cannot be loaded on the configured device, {self.placement.choice}")
        return session

    def _options(self) -> ort.SessionOptions:
        """Return ONNX Runtime's defaults (all graph optimizations and an arena), adapted to replicas that share cores.

        `benchmarks/inference/ort_options.py` measures the choice. Optimized graphs are not cached: ADR 0016.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


@cache
def _warn_of_precision() -> None:
    """Log once that the setting does nothing."""
    log.warning("TIDEPOOL_INFERENCE_PRECISION is ignored; pin the variant fp16 of a model version instead")


@cache
def _share_arena() -> None:
    """Let all sessions of this process allocate activations from one CPU arena.

    With an arena per session, every loaded model would keep the peak of its largest batch: 15 MB for 150 kB of weights.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    limits = {"arena_extend_strategy": 1}  # grow by the requested size, not by powers of two
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(limits))


def _card(session: ort.InferenceSession) -> ModelCard | None:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        return None
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError:
        raise BadModel("the model card in the ONNX file is malformed") from None

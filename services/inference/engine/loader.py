"""Load ONNX files into ONNX Runtime sessions."""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

import structlog
from pydantic import ValidationError

from contract.errors import BadModel, Unavailable
from contract.models import METADATA_KEY, ModelCard
from services.inference.engine.arena import share_arena
from services.inference.engine.model import LoadedModel
from services.inference.engine.onnx_runtime import ORT_ERRORS, load_gpu_libraries, ort
from services.inference.engine.providers import NAMES, TENSORRT, Placement, Provider, on_gpu
from services.inference.engine.session import OrtSession, Session, bind
from services.inference.engine.watchdog import LimitedSession, watchdog
from services.inference.settings import InferenceSettings

_LOAD_ERRORS: tuple[type[Exception], ...] = (OSError, *ORT_ERRORS)
_DATA_FOLDER = "session.model_external_initializers_file_folder_path"

log = structlog.get_logger()


@dataclass
class ModelLoader:
    """Loads models with the options of this process: images per batch, CPU threads per batch (0: one per core), device.

    A run that takes longer than `run_s` seconds is stopped, and all runs at once take at most `run_bytes` of memory;
    None is no limit. Raises ValueError if ONNX Runtime was built without the provider of `placement`.
    """

    max_batch: int = 64
    threads: int = 1
    placement: Placement = field(default_factory=Placement)
    run_s: float | None = None
    run_bytes: int | None = None
    providers: list[Provider] = field(init=False)

    def __post_init__(self) -> None:
        self.providers = self.placement.providers(ort.get_available_providers())
        if on_gpu(self._best):
            load_gpu_libraries()

    @classmethod
    def of(cls, settings: InferenceSettings) -> Self:
        """Return a loader with the options of the environment."""
        if settings.precision is not None:
            _warn_of_precision()
        return cls(settings.max_batch, settings.threads, settings.placement, settings.run_s, settings.run_bytes)

    @property
    def batches_at_once(self) -> int:
        """The default number of parallel batches: two on a GPU, which computes while images are decoded, else one."""
        return 2 if on_gpu(self._best) else 1

    @property
    def _best(self) -> str:
        """The provider that is tried first."""
        best = self.providers[0]
        return best if isinstance(best, str) else best[0]

    def load(self, source: Path | bytes) -> LoadedModel:
        """Create a session for an ONNX file and warm it up.

        The file is loaded from memory, so that no path in it leads to another file. Raises BadModel if the file cannot
        be loaded, Unavailable if the configured device does not work, DeadlineExceeded if a run takes too long.
        """
        share_arena(self.run_bytes)
        session = self._session(source)
        bound = bind(session, self.placement.device)
        limited = self._limited(bound)
        model = LoadedModel(
            bound if on_gpu(session.get_providers()[0]) else limited, _card(session), self.max_batch, self.run_s
        )
        model.warm_up()  # on a GPU it takes as long as tuning needs
        model.session = limited
        return model

    def _limited(self, session: OrtSession) -> Session:
        """Return the session with the limit of a run; with TensorRT it has none, as any run may build an engine."""
        if self.run_s is None or session.get_providers()[0] == TENSORRT:
            return session
        return LimitedSession(session, watchdog(self.run_s))

    def _session(self, source: Path | bytes) -> ort.InferenceSession:
        try:
            file = source if isinstance(source, bytes) else source.read_bytes()
            session = ort.InferenceSession(file, self._options(), self.providers)
        except _LOAD_ERRORS:
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
        # Without it, a path in a model that is loaded from memory is relative to the working directory.
        options.add_session_config_entry(_DATA_FOLDER, os.devnull)
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


@cache
def _warn_of_precision() -> None:
    """Log once that the setting does nothing."""
    log.warning("TIDEPOOL_INFERENCE_PRECISION is ignored; pin the variant fp16 of a model version instead")


def _card(session: ort.InferenceSession) -> ModelCard | None:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        return None
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError:
        raise BadModel("the model card in the ONNX file is malformed") from None

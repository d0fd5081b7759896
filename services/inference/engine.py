"""The only place that creates ONNX Runtime sessions."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import onnxruntime as ort
from pydantic import ValidationError

from contract.errors import BadModel
from contract.models import METADATA_KEY, ModelCard
from services.inference.errors import ORT_ERRORS
from services.inference.model import LoadedModel
from services.inference.providers import Provider, preferred


def _available() -> list[Provider]:
    return preferred(ort.get_available_providers())


@dataclass(frozen=True)
class Engine:
    """How this process runs models: pictures a batch, CPU threads a batch (0: one a core), devices by preference."""

    max_batch: int = 64
    threads: int = 1
    providers: list[Provider] = field(default_factory=_available)

    def load(self, source: Path | bytes) -> LoadedModel:
        """Make a session of an ONNX file and warm it up; raises BadModel if it is none."""
        _share_arena()
        try:
            session = ort.InferenceSession(source, self._options(), self.providers)
        except ORT_ERRORS:
            raise BadModel("the file is no ONNX graph that ONNX Runtime can load") from None
        model = LoadedModel(session, _card(session), self.max_batch)
        model.warm_up()
        return model

    def _options(self) -> ort.SessionOptions:
        """ONNX Runtime's defaults, which are every graph optimisation and an arena, for replicas that share cores."""
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

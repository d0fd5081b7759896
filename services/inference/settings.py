"""Settings of the inference service."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.engine.providers import Placement, Precision, ProviderChoice


class InferenceSettings(BaseSettings):
    """The resources of one replica; every variable starts with TIDEPOOL_INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_INFERENCE_", env_ignore_empty=True)

    cache_bytes: PositiveInt = 2 * 2**30  # memory for loaded models
    threads: PositiveInt = 1  # CPU threads of one batch; scale by replicas, not threads
    decode_threads: PositiveInt = 2  # images of one batch decoded concurrently
    batches_at_once: NonNegativeInt = 0  # per replica: one decodes while another runs; 0: two on a GPU, else one
    max_batch: PositiveInt = 64
    provider: ProviderChoice = ProviderChoice.AUTO
    device: NonNegativeInt = 0  # number of the GPU; a replica uses one
    precision: Precision = Precision.FP32
    graph_cache: Path | None = None  # folder for half-precision graphs and TensorRT engines

    @property
    def placement(self) -> Placement:
        return Placement(self.provider, self.device, self.precision, self.graph_cache)

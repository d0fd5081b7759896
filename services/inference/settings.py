"""The only place that reads the inference service's environment."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.engine.providers import Choice, Placement, Precision


class InferenceSettings(BaseSettings):
    """How much one replica may use; every variable starts with TIDEPOOL_INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_INFERENCE_", env_ignore_empty=True)

    cache_bytes: PositiveInt = 2 * 2**30  # memory for loaded models
    threads: PositiveInt = 1  # CPU threads of one batch; replicas, not threads, fill the machine
    decode_threads: PositiveInt = 2  # pictures of one batch that are decoded at once
    batches_at_once: NonNegativeInt = 0  # of a replica, one decoded while the other runs; 0: two on a GPU, else one
    max_batch: PositiveInt = 64
    provider: Choice = Choice.AUTO
    device: NonNegativeInt = 0  # a replica uses one
    precision: Precision = Precision.FP32
    graph_cache: Path | None = None  # a folder for half-precision graphs and TensorRT's engines

    @property
    def placement(self) -> Placement:
        return Placement(self.provider, self.device, self.precision, self.graph_cache)

"""Settings of the inference service."""

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.engine.providers import Placement, ProviderChoice


class InferenceSettings(BaseSettings):
    """The resources of one replica; every variable starts with TIDEPOOL_INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_INFERENCE_", env_ignore_empty=True)

    cache_bytes: PositiveInt = Field(default=2 * 2**30, description="Memory for loaded models (an LRU cache).")
    threads: PositiveInt = Field(default=1, description="CPU threads of one batch; scale by replicas, not threads.")
    decode_threads: PositiveInt = Field(default=2, description="Images of one batch decoded concurrently.")
    batches_at_once: NonNegativeInt = Field(
        default=0, description="Batches at once: one decodes while another runs; 0: two on a GPU, else one."
    )
    max_batch: PositiveInt = Field(
        default=64,
        description="Largest batch in one run; predictions on a CPU are batched up to what it runs in 0.1 s.",
    )
    run_s: PositiveFloat = Field(
        default=8.0,
        description="Longest run of a model; then it is stopped, and the request answered with 504.",
    )
    run_bytes: PositiveInt = Field(
        default=3 * 2**30,
        description="Memory for the runs of models on the CPU, without weights; a run that needs more fails.",
    )
    provider: ProviderChoice = Field(default=ProviderChoice.AUTO, description="Execution provider of ONNX Runtime.")
    device: NonNegativeInt = Field(default=0, description="Number of the GPU; a replica uses one.")
    precision: str | None = Field(
        default=None, description="Deprecated and ignored: pin the variant `fp16` of a model version instead."
    )
    graph_cache: Path | None = Field(default=None, description="Folder for TensorRT engines.")

    @property
    def placement(self) -> Placement:
        return Placement(self.provider, self.device, self.graph_cache)

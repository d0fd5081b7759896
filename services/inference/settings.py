<<<<<<< HEAD
"""The settings of the inference service, read from the environment."""
=======
"""Settings of the inference service."""
>>>>>>> main

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.engine.providers import Placement, Precision, ProviderChoice


class InferenceSettings(BaseSettings):
<<<<<<< HEAD
    """What one replica may use; every variable starts with TIDEPOOL_INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_INFERENCE_", env_ignore_empty=True)

    cache_bytes: PositiveInt = Field(default=2 * 2**30, description="Memory for loaded models (an LRU cache).")
    threads: PositiveInt = Field(default=1, description="CPU threads of one batch; replicas fill the cores.")
    decode_threads: PositiveInt = Field(default=2, description="Images of one batch decoded in parallel.")
    batches_at_once: NonNegativeInt = Field(
        default=0, description="Batches processed at once, one decoding while another runs; 0: two on a GPU, else one."
    )
    max_batch: PositiveInt = Field(default=64, description="Largest batch in one run of the model.")
    provider: Choice = Field(default=Choice.AUTO, description="Execution provider of ONNX Runtime.")
    device: NonNegativeInt = Field(default=0, description="Index of the one GPU that the replica uses.")
    precision: Precision = Field(default=Precision.FP32, description="Arithmetic on a GPU.")
    graph_cache: Path | None = Field(
        default=None, description="Folder in which half-precision graphs and TensorRT engines are kept."
    )
=======
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
>>>>>>> main

    @property
    def placement(self) -> Placement:
        return Placement(self.provider, self.device, self.precision, self.graph_cache)

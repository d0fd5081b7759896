"""The settings of the inference service, read from the environment."""

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.providers import Choice, Placement, Precision


class InferenceSettings(BaseSettings):
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

    @property
    def placement(self) -> Placement:
        return Placement(self.provider, self.device, self.precision, self.graph_cache)


class BatchSettings(BaseSettings):
    """TIDEPOOL_PART_PICTURES: a batch prediction of more pictures is divided into parts of at most so many."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    part_pictures: PositiveInt = 2048

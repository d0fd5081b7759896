"""The only place that reads the inference service's environment."""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """How much one replica may use; every variable starts with TIDEPOOL_INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_INFERENCE_")

    cache_bytes: PositiveInt = 2 * 2**30  # memory for loaded models
    threads: PositiveInt = 1  # CPU threads of one batch; replicas, not threads, fill the machine
    decode_threads: PositiveInt = 2  # pictures of one batch that are decoded at once
    max_batch: PositiveInt = 64


class BatchSettings(BaseSettings):
    """TIDEPOOL_PART_PICTURES: a batch prediction of more pictures is divided into parts of at most so many."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    part_pictures: PositiveInt = 2048


class VettingSettings(BaseSettings):
    """What an uploaded model may take while it is looked at and tried; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31)  # protobuf reads no more
    memory_bytes: PositiveInt = 4 * 2**30  # address space, of which Python and ONNX Runtime take about 1 GiB
    cpu_s: PositiveInt = 60
    wall_s: PositiveInt = 120

"""Settings of vetting."""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class VettingSettings(BaseSettings):
    """Limits on the examination of an uploaded model; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    # protobuf's limit is 2 GiB
    file_bytes: PositiveInt = Field(default=2**30, lt=2**31, description="Largest uploaded ONNX file.")
    memory_bytes: PositiveInt = Field(
        default=4 * 2**30,
        description="Address space for examining a model; Python and ONNX Runtime take about 1 GiB of it.",
    )
    cpu_s: PositiveInt = Field(default=60, description="CPU time for examining a model.")
    wall_s: PositiveInt = Field(default=120, description="Elapsed time for examining a model.")

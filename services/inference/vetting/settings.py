"""Settings of vetting."""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class VettingSettings(BaseSettings):
    """Limits on the examination of an uploaded model; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31)  # protobuf's limit is 2 GiB
    memory_bytes: PositiveInt = 4 * 2**30  # address space; Python and ONNX Runtime take about 1 GiB of it
    cpu_s: PositiveInt = 60
    wall_s: PositiveInt = 120

"""The only place that reads what vetting may cost from the environment."""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class VettingSettings(BaseSettings):
    """What an uploaded model may take while it is looked at and tried; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31)  # protobuf reads no more
    memory_bytes: PositiveInt = 4 * 2**30  # address space, of which Python and ONNX Runtime take about 1 GiB
    cpu_s: PositiveInt = 60
    wall_s: PositiveInt = 120

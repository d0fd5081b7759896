<<<<<<< HEAD
"""Limits on the vetting of an uploaded model, read from the environment."""
=======
"""Settings of vetting."""
>>>>>>> main

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class VettingSettings(BaseSettings):
<<<<<<< HEAD
    """Limits of the process that checks and tries an uploaded model; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    # protobuf reads no file of 2 GiB or more
    file_bytes: PositiveInt = Field(default=2**30, lt=2**31, description="Largest ONNX file.")
    memory_bytes: PositiveInt = Field(
        default=4 * 2**30, description="Address space, of which Python and ONNX Runtime take about 1 GiB."
    )
    cpu_s: PositiveInt = Field(default=60, description="CPU time.")
    wall_s: PositiveInt = Field(default=120, description="Elapsed time.")
=======
    """Limits on the examination of an uploaded model; every variable starts with TIDEPOOL_VET_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_VET_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31)  # protobuf's limit is 2 GiB
    memory_bytes: PositiveInt = 4 * 2**30  # address space; Python and ONNX Runtime take about 1 GiB of it
    cpu_s: PositiveInt = 60
    wall_s: PositiveInt = 120
>>>>>>> main

"""Settings of the autoscaler and its drivers, from the environment."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DriverName(StrEnum):
    PROCESS = "process"
    DOCKER = "docker"


class AutoscalerSettings(BaseSettings):
    """TIDEPOOL_DRIVER: `process` or `docker`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    driver: DriverName = Field(description="What starts and stops replicas: the supervisor, or a Docker engine.")


class ProcessSettings(BaseSettings):
    """TIDEPOOL_REPLICAS_FILE, which the supervisor reads, and TIDEPOOL_STATE_FILE, which it writes."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    replicas_file: Path = Field(description="File that tells the supervisor which replicas to run (driver `process`).")
    state_file: Path = Field(description="File in which the supervisor reports its processes (driver `process`).")


class DockerSettings(BaseSettings):
    """TIDEPOOL_DOCKER_URL: `tcp://host:port`, not the engine's socket; TIDEPOOL_PROJECT: the Compose project."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    docker_url: str = Field(
        pattern=r"^(tcp|http)://", description="`tcp://host:port` of the socket proxy (driver `docker`)."
    )
    project: str = Field(min_length=1, description="Compose project whose containers are scaled (driver `docker`).")

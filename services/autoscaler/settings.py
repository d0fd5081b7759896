"""Where the replicas run, read from the environment by the composition root."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DriverName(StrEnum):
    PROCESS = "process"
    DOCKER = "docker"


class AutoscalerSettings(BaseSettings):
    """TIDEPOOL_DRIVER."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    driver: DriverName


class ProcessSettings(BaseSettings):
    """TIDEPOOL_REPLICAS_FILE and TIDEPOOL_STATE_FILE: what the supervisor reads and what it writes."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    replicas_file: Path
    state_file: Path


class DockerSettings(BaseSettings):
    """TIDEPOOL_DOCKER_URL: `tcp://host:port`, never the engine's socket; TIDEPOOL_PROJECT: Compose's project name."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    docker_url: str = Field(pattern=r"^(tcp|http)://")
    project: str = Field(min_length=1)

"""Settings of a worker, read from the environment."""

import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """TIDEPOOL_SCRATCH: the folder in which attempts create their temporary folders."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    scratch: Path = Field(
        default=Path(tempfile.gettempdir()), description="Folder in which each attempt gets its temporary folder."
    )

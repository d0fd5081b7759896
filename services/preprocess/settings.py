"""The only place that reads the preprocess service's environment."""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class PreprocessSettings(BaseSettings):
    """TIDEPOOL_PART_PICTURES: an archive of more pictures is divided into parts of at most so many."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    part_pictures: PositiveInt = 4096

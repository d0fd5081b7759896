"""Settings of the preprocess service, from the environment."""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class PreprocessSettings(BaseSettings):
    """TIDEPOOL_PART_PICTURES: the most images per part; an archive with more is divided into parts."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    part_pictures: PositiveInt = 4096

"""Settings of the trainer."""

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class BackboneSettings(BaseSettings):
    """Limits on backbones that people bring; every variable starts with TIDEPOOL_BACKBONE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_BACKBONE_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31, description="Largest uploaded file of a backbone.")


class TrainingSettings(BaseSettings):
    """What a training may use of its machine; every variable starts with TIDEPOOL_TRAINING_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_TRAINING_")

    scratch_bytes: PositiveInt | None = Field(
        default=None,
        description="Images of a dataset that a training keeps in its scratch folder; a larger dataset is streamed. "
        "Half of the free disk if it is not set.",
    )

"""Where the state lives, read from the environment by a composition root."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """TIDEPOOL_DATABASE_URL: `sqlite:////path` or `postgresql+psycopg://user:password@host/name`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_DATABASE_")

    url: SecretStr = Field(min_length=1)


class SweepSettings(BaseSettings):
    """TIDEPOOL_COLLECT_S: seconds between two collections of unused objects.

    TIDEPOOL_COLLECT_GRACE_S: seconds for which an object stays after it was written, even if nothing refers to it.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    collect_s: float = Field(default=600.0, gt=0)
    collect_grace_s: float = Field(default=3600.0, ge=0)


class ObjectsSettings(BaseSettings):
    """TIDEPOOL_S3_*: any S3 endpoint; `public_endpoint` is the one that clients reach by presigned URLs."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_S3_")

    endpoint: str = Field(pattern=r"^https?://")
    public_endpoint: str | None = None
    access_key: SecretStr = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    region: str = "us-east-1"
    bucket_prefix: str = "tidepool-"

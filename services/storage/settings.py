"""The settings of the database, the object store and the storage process, read from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.pools import PoolName, Replicas
from services.storage.access.rights import Service


class DatabaseSettings(BaseSettings):
    """TIDEPOOL_DATABASE_URL: `sqlite:////path` or `postgresql+psycopg://user:password@host/name`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_DATABASE_")

    url: SecretStr = Field(min_length=1)


class SweepSettings(BaseSettings):
    """TIDEPOOL_COLLECT_S: seconds between two collections of unreferenced objects.

    TIDEPOOL_COLLECT_GRACE_S: seconds for which an object stays after it was written, even if nothing refers to it.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    collect_s: float = Field(default=600.0, gt=0)
    collect_grace_s: float = Field(default=3600.0, ge=0)


class ObjectsSettings(BaseSettings):
    """TIDEPOOL_S3_*: any S3 endpoint; clients reach presigned URLs at `public_endpoint`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_S3_")

    endpoint: str = Field(pattern=r"^https?://")
    public_endpoint: str | None = None
    access_key: SecretStr = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    region: str = "us-east-1"
    bucket_prefix: str = "tidepool-"


class AdminSettings(BaseSettings):
    """TIDEPOOL_ADMIN_KEY: the first admin key, created by the deployment; only its hash is stored.

    TIDEPOOL_SERVICES_DATABASE_URLS: `{"gateway": "postgresql+psycopg://…"}`, each with a role of the service's own.
    TIDEPOOL_SERVICES_FOLDER: a folder for each service, into which its key to the object store is written.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    admin_key: SecretStr = Field(min_length=1)
    services_database_urls: dict[Service, SecretStr] = {}
    services_folder: Path | None = None


class ScaleSettings(BaseSettings):
    """TIDEPOOL_SCALE: `{"inference": 2}`, the sizes of pools from now on, whatever was set before."""

    tidepool_scale: dict[PoolName, Replicas] = {}

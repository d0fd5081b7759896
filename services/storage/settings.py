"""The settings of the database, the object store and the storage process, read from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.pools import PoolName, Replicas
from services.storage.access.rights import Service


class DatabaseSettings(BaseSettings):
    """TIDEPOOL_DATABASE_URL; see `database_url` for a list of hosts."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_DATABASE_")

    url: SecretStr = Field(
        min_length=1,
        description="`sqlite:////path` or `postgresql+psycopg://user:password@host/name`; of several hosts, as in "
        "`…@a:5432,b:5432/name`, the primary is used.",
    )


class SweepSettings(BaseSettings):
    """TIDEPOOL_COLLECT_S: seconds between two collections of unreferenced objects.

    TIDEPOOL_COLLECT_GRACE_S: seconds for which an object stays after it was written, even if nothing refers to it.
    TIDEPOOL_AUDIT_DAYS: days for which entries of the audit trail are kept.
    TIDEPOOL_COLLECT_UPLOADS_S: seconds after which an upload that was not completed is deleted.
    TIDEPOOL_KEEP_JOBS_DAYS: days for which ended jobs are kept in projects whose retention has no `jobs_days`.
    TIDEPOOL_UNPUBLISHED_UPLOADS_DAYS: days for which an upload stays that jobs have used, and no version came from.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    collect_s: float = Field(default=600.0, gt=0, description="Time between two collections of unreferenced objects.")
    collect_grace_s: float = Field(
        default=3600.0, ge=0, description="How long an object stays after it was written, even if nothing refers to it."
    )
    audit_days: float = Field(
        default=365.0, gt=0, le=36500, description="Days for which entries of the audit trail are kept."
    )
    keep_jobs_days: float | None = Field(
        default=None,
        gt=0,
        le=36500,
        description="Days for which ended jobs are kept, with events and outputs, in projects whose `retention` has no "
        "`jobs_days`; jobs that made an existing version stay. Without it, all are kept.",
    )
    collect_uploads_s: float = Field(
        default=86_400.0, ge=0, description="How long an upload stays that was announced or begun, and not completed."
    )
    unpublished_uploads_days: float = Field(
        default=30.0,
        gt=0,
        le=36500,
        description="Days for which an upload stays after the last job that used it, if no version came from it.",
    )


class ObjectsSettings(BaseSettings):
    """TIDEPOOL_S3_*: any S3 endpoint; clients reach presigned URLs at `public_endpoint`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_S3_")

    endpoint: str = Field(pattern=r"^https?://", description="The object store, as the services reach it.")
    public_endpoint: str | None = Field(
        default=None, description="The object store, as clients reach presigned URLs; without it, as the services do."
    )
    access_key: SecretStr = Field(min_length=1, description="Access key of the object store.")
    secret_key: SecretStr = Field(min_length=1, description="Secret key of the object store.")
    region: str = Field(default="us-east-1", description="Region of the buckets.")
    bucket_prefix: str = Field(default="tidepool-", description="Start of the names of the buckets.")


class AdminSettings(BaseSettings):
    """TIDEPOOL_ADMIN_KEY: the first admin key, created by the deployment; only its hash is stored.

    TIDEPOOL_SERVICES_DATABASE_URLS: `{"gateway": "postgresql+psycopg://…"}`, each with a role of the service's own.
    TIDEPOOL_SERVICES_FOLDER: a folder for each service, into which its key to the object store is written.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    admin_key: SecretStr = Field(min_length=1, description="`init`: the first admin key; only its hash is stored.")
    services_database_urls: dict[Service, SecretStr] = Field(
        default={}, description='`init`: `{"gateway": "postgresql+psycopg://…"}`, with a role for each service.'
    )
    services_folder: Path | None = Field(
        default=None, description="`init`: folder with a folder per service, for its key to the object store."
    )


class ScaleSettings(BaseSettings):
    """TIDEPOOL_SCALE: `{"inference": 2}`, sizes of pools, which replace those set before."""

    tidepool_scale: dict[PoolName, Replicas] = Field(
        default={}, description='`init`: `{"inference": 2}`, sizes of pools that are set by hand.'
    )

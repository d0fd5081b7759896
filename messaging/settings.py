"""Settings of the broker and of telemetry, read from the environment."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class BrokerSettings(BaseSettings):
    """TIDEPOOL_BROKER_URL: `redis://user:password@host:port/0`, with the service's own user of `redis_users`."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_BROKER_")

    url: SecretStr = Field(min_length=1, description="Redis: `redis://user:password@host:port/0`.")


class TelemetrySettings(BaseSettings):
    """TIDEPOOL_METRICS_PORT (0 turns metrics off), TIDEPOOL_METRICS_HOST, TIDEPOOL_LOG_LEVEL."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of `/metrics` (Prometheus); 0 turns it off.")
    metrics_host: str = Field(default="127.0.0.1", description="Address on which `/metrics` listens.")
    log_level: str = Field(default="INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.")

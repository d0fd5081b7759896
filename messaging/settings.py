"""Settings of the broker, of telemetry and of tracing, read from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from messaging.redis_address import check_url


class BrokerSettings(BaseSettings):
    """TIDEPOOL_BROKER_URL, with the service's own user of `redis_users`; see `redis_address` for its forms."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_BROKER_", hide_input_in_errors=True)  # no password

    url: SecretStr = Field(
        min_length=1,
        description="Redis: `redis://user:password@host:port/0`, or `sentinel://user:password@host1:26379,host2:26379/"
        "MASTER?db=0`; with TLS, `rediss` and `sentinels`. `&sentinel_username=…&sentinel_password=…` log in to the "
        "Sentinels.",
    )

    @field_validator("url")
    @classmethod
    def _complete(cls, url: SecretStr) -> SecretStr:
        check_url(url.get_secret_value())
        return url


class LocalSettings(BaseSettings):
    """TIDEPOOL_LOCAL_SOCKETS, which the embedded stack sets, and TIDEPOOL_SPIN_MS."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    local_sockets: Annotated[Path | None, BeforeValidator(lambda value: value or None)] = Field(
        default=None,
        description="Folder of Unix sockets, on which replicas of predictions take batches from gateways of their "
        "machine past Redis; both must have it, and run as the same user. Off by default.",
    )
    spin_ms: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="With TIDEPOOL_LOCAL_SOCKETS, how many milliseconds a gateway or replica keeps polling for the "
        "next message before it sleeps. It polls on idle cores only, and only if the wait before was as short; "
        "0 turns polling off.",
    )


class TelemetrySettings(BaseSettings):
    """TIDEPOOL_METRICS_PORT (0 turns metrics off), TIDEPOOL_METRICS_HOST, TIDEPOOL_LOG_LEVEL."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of `/metrics` (Prometheus); 0 turns it off.")
    metrics_host: str = Field(default="127.0.0.1", description="Address on which `/metrics` listens.")
    log_level: str = Field(default="INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.")


class TracingSettings(BaseSettings):
    """TIDEPOOL_OTLP_ENDPOINT turns tracing on; TIDEPOOL_TRACE_SAMPLE and TIDEPOOL_TRACE_RATE bound it."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    otlp_endpoint: Annotated[str | None, BeforeValidator(lambda value: value or None)] = Field(
        default=None, pattern=r"^https?://", description="OpenTelemetry collector (OTLP over HTTP), gets traces."
    )
    trace_sample: float = Field(
        default=0.05, ge=0, le=1, description="Share of the requests, and of the attempts at jobs, that are traced."
    )
    trace_rate: float = Field(
        default=10.0,
        gt=0,
        description="Most traced requests a second of a gateway, and as many more of clients that send a sampled "
        "`traceparent`.",
    )

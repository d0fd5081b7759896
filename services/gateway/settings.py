"""The gateway's address and limits, read from the environment."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.pools import MOST_REPLICAS

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?")


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Raise ValueError for an origin that no browser would send, such as one with a path or a wildcard."""
    for origin in origins:
        default_port = origin.endswith({"http": ":80", "https": ":443"}.get(origin.partition(":")[0], " "))
        if not _ORIGIN.fullmatch(origin) or default_port:
            raise ValueError(
                f"{origin!r} is not an origin. Write scheme and host in lower case, and the port unless it is the "
                "scheme's own: https://app.example.com or http://localhost:5173. Wildcards are not accepted"
            )
    return origins


_File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]  # a variable may be set, but empty


class GatewaySettings(BaseSettings):
    """TIDEPOOL_HOST, TIDEPOOL_PORT, and the limits on requests, queues and replicas."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    host: str = Field(default="127.0.0.1", description="Address on which the REST API listens.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port of the REST API.")
    grpc_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Open Inference Protocol over gRPC; 0 is off."
    )
    tls_cert: _File = Field(
        default=None, description="PEM file of the certificate and its chain; with it, all ports of the API use TLS."
    )
    tls_key: _File = Field(default=None, description="PEM file of the certificate's private key.")
    cors_origins: Annotated[tuple[str, ...], AfterValidator(_check_origins)] = Field(
        default=(), description='Origins whose pages may call the API from a browser: `["https://app.example.com"]`.'
    )
    max_upload_bytes: int = Field(
        default=4 << 30, description="Largest archive or model, sent to the gateway or uploaded."
    )
    max_predict_bytes: int = Field(default=64 << 20, description="Largest body of a prediction.")
    max_json_bytes: int = Field(default=1 << 20, description="Largest body of any other request.")
    max_images: int = Field(default=512, description="Images in one prediction request.")
    index_cache_bytes: int = Field(
        default=1 << 30, ge=0, description="Disk space for the indexes of datasets' images that are in use."
    )
    submits_at_once: int = Field(default=4, ge=1, description="Job submissions processed at the same time.")
    max_submits: int = Field(default=256, ge=1, description="Job submissions processed or waiting; more get a 503.")
    max_queued_jobs: int = Field(default=10_000, ge=1, description="Accepted jobs that wait to run; more get a 503.")
    max_waiting: int = Field(
        default=512, ge=1, description="Predictions waiting for one model version; more get a 503."
    )
    max_batch: int = Field(default=32, ge=1, description="Predictions in one batch that the gateway sends.")
    flights_per_replica: int = Field(default=2, ge=1, description="Batches in flight for each inference replica.")
    max_replicas: int = Field(
        default=64, ge=1, le=MOST_REPLICAS, description="Most replicas that a pool can be set to."
    )
    predict_timeout_s: float = Field(default=10.0, description="Deadline of a prediction without X-Request-Timeout.")

    @property
    def https(self) -> bool:
        """Whether the gateway has a certificate."""
        return self.tls_cert is not None

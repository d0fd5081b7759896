"""The gateway's address and limits, read from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.origins import Origin
from contract.pools import MOST_REPLICAS

_File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]  # a variable may be set, but empty


MOST_GATEWAYS = 64


class GatewaySettings(BaseSettings):
    """TIDEPOOL_HOST, TIDEPOOL_PORT, and the limits on requests, queues and replicas."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    host: str = Field(default="127.0.0.1", description="Address on which the REST API listens.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port of the REST API.")
    gateways: int = Field(
        default=1,
        ge=1,
        le=MOST_GATEWAYS,
        description="Gateway processes on this machine that share the port. The limits below are those of each.",
    )
    probe_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port on 127.0.0.1 that only this process answers, for its supervisor; 0 is off.",
    )
    grpc_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Open Inference Protocol over gRPC; 0 is off."
    )
    max_connections: int = Field(default=2_048, ge=1, description="Open connections; a further one gets a 503.")
    max_header_bytes: int = Field(default=32 << 10, ge=1024, description="Size of a request's line and headers.")
    max_headers: int = Field(default=100, ge=1, description="Headers of a request.")
    header_timeout_s: float = Field(default=10.0, gt=0, description="Time for the headers of a request to arrive.")
    body_timeout_s: float = Field(
        default=30.0, gt=0, description="Time for the next 32 KiB of a body, or for its end, to arrive."
    )
    max_grpc_calls: int = Field(default=1_024, ge=1, description="gRPC calls at once; further ones are refused.")
    max_streams: int = Field(
        default=100, ge=1, description="Event streams and `?wait=` requests of one key at once; more get a 429."
    )
    tls_cert: _File = Field(
        default=None, description="PEM file of the certificate and its chain; with it, all ports of the API use TLS."
    )
    tls_key: _File = Field(default=None, description="PEM file of the certificate's private key.")
    cors_origins: tuple[Origin, ...] = Field(
        default=(), description='Origins whose pages may call the API from a browser: `["https://app.example.com"]`.'
    )
    max_upload_bytes: int = Field(
        default=4 << 30, description="Largest archive or model, sent to the gateway or uploaded."
    )
    max_predict_bytes: int = Field(default=64 << 20, description="Largest body of a prediction.")
    max_json_bytes: int = Field(default=1 << 20, description="Largest body of any other request.")
    body_bytes_in_flight: int = Field(
        default=512 << 20,
        ge=1,
        description="Bytes of the predictions and parts of uploads that a gateway holds at once; more get a 503. "
        "One body may have three quarters of them.",
    )
    upload_bytes_in_flight: int = Field(
        default=16 << 30,
        ge=1,
        description="Bytes of the uploads that a gateway receives at once, on its disk; more get a 503. "
        "One upload may have three quarters of them.",
    )
    max_images: int = Field(default=512, description="Images in one prediction request.")
    index_cache_bytes: int = Field(
        default=1 << 30, ge=0, description="Disk space for the indexes of datasets' images that are in use."
    )
    submits_at_once: int = Field(default=4, ge=1, description="Job submissions processed at the same time.")
    max_submits: int = Field(default=256, ge=1, description="Job submissions processed or waiting; more get a 503.")
    max_queued_jobs: int = Field(default=10_000, ge=1, description="Accepted jobs that wait to run; more get a 503.")
    max_waiting: int = Field(
        default=256, ge=1, description="Predictions waiting for one model version; more get a 503."
    )
    max_waiting_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="Bytes of the predictions waiting for one model version; more get a 503. "
        "One prediction may have three quarters of them.",
    )
    batch_bytes_in_flight: int = Field(
        default=128 << 20,
        ge=1,
        description="Bytes of the batches that a gateway has sent to Redis and that are not answered; others wait. "
        "For all gateways together, leave half of Redis's memory free. Unless it is set, TIDEPOOL_GATEWAYS processes "
        "share twice the default.",
    )
    max_batch: int = Field(default=32, ge=1, description="Predictions in one batch that the gateway sends.")
    flights_per_replica: int = Field(default=2, ge=1, description="Batches in flight for each inference replica.")
    max_replicas: int = Field(
        default=64, ge=1, le=MOST_REPLICAS, description="Most replicas that a pool can be set to."
    )
    predict_timeout_s: float = Field(default=10.0, description="Deadline of a prediction without X-Request-Timeout.")

    @property
    def own_batch_bytes(self) -> int:
        """The bytes of batches in Redis of this process: unless they are set, all processes have twice the default."""
        if "batch_bytes_in_flight" in self.model_fields_set:
            return self.batch_bytes_in_flight
        return 2 * self.batch_bytes_in_flight // max(2, self.gateways)

    @property
    def https(self) -> bool:
        """Whether the gateway has a certificate."""
        return self.tls_cert is not None

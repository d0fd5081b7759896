"""The gateway's address and limits, read from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.pools import MOST_REPLICAS


class GatewaySettings(BaseSettings):
    """TIDEPOOL_HOST, TIDEPOOL_PORT, and the limits on requests, queues and replicas."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the inference protocol over gRPC; 0 turns it off."
    )
    max_upload_bytes: int = Field(
        default=4 << 30, description="Size of an archive, sent to the gateway or by presigned URL."
    )
    max_predict_bytes: int = Field(default=64 << 20, description="Size of all images of one prediction.")
    max_json_bytes: int = Field(default=1 << 20, description="Size of any other body.")
    max_images: int = Field(default=512, description="Images in one prediction.")
    submits_at_once: int = Field(default=4, ge=1, description="Submits that a gateway works on at once.")
    max_submits: int = Field(default=256, ge=1, description="Submits in progress, with those that wait for their turn.")
    max_queued_jobs: int = Field(default=10_000, ge=1, description="Accepted jobs that wait to run.")
    max_waiting: int = Field(default=512, ge=1, description="Predictions that wait for one model version.")
    max_batch: int = Field(default=32, ge=1, description="Predictions in one batch.")
    flights_per_replica: int = Field(default=2, ge=1, description="Batches in flight per inference replica.")
    max_replicas: int = Field(default=64, ge=1, le=MOST_REPLICAS, description="Upper limit for the size of any pool.")
    predict_timeout_s: float = Field(default=10.0, description="Seconds; used without X-Request-Timeout.")

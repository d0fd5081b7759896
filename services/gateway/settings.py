"""The gateway's bounds and address, read from the environment by its composition root."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.pools import MOST_REPLICAS


class GatewaySettings(BaseSettings):
    """TIDEPOOL_HOST, TIDEPOOL_PORT and the limits on what a request may carry."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(default=0, ge=0, le=65535, description="Of the inference protocol over gRPC; 0 is off.")
    max_upload_bytes: int = Field(default=4 << 30, description="An archive sent to the gateway, or by presigned URL.")
    max_predict_bytes: int = Field(default=64 << 20, description="All pictures of one prediction.")
    max_json_bytes: int = Field(default=1 << 20, description="Any other body.")
    max_images: int = Field(default=512, description="Pictures in one prediction.")
    submits_at_once: int = Field(default=4, ge=1, description="Submits that a gateway works on.")
    max_submits: int = Field(default=256, ge=1, description="Those, and the ones that wait for their turn.")
    max_queued_jobs: int = Field(default=10_000, ge=1, description="Accepted jobs that wait to run.")
    max_waiting: int = Field(default=512, ge=1, description="Predictions that wait for one model version.")
    max_batch: int = Field(default=32, ge=1, description="Predictions in one batch.")
    flights_per_replica: int = Field(default=2, ge=1, description="Batches under way for each inference replica.")
    max_replicas: int = Field(default=64, ge=1, le=MOST_REPLICAS, description="Of a pool, whoever asks for more.")
    predict_timeout_s: float = Field(default=10.0, description="Where X-Request-Timeout says nothing.")

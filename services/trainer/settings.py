"""Settings of the trainer."""

from ipaddress import IPv4Network

from pydantic import Field, IPvAnyNetwork, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

# Rounds for which an idle OpenMP thread spins before it yields its core. On two cores, 1000 made small batches take
# half as long again, and 100,000 three times as long beside a busy process.
SPIN_COUNT = 3000


class BackboneSettings(BaseSettings):
    """Limits on backbones that people bring; every variable starts with TIDEPOOL_BACKBONE_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_BACKBONE_")

    file_bytes: PositiveInt = Field(default=2**30, lt=2**31, description="Largest uploaded file of a backbone.")


class ElasticSettings(BaseSettings):
    """Training on several replicas; every variable starts with TIDEPOOL_TRAINERS_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_TRAINERS_")

    network: IPvAnyNetwork = Field(
        default=IPv4Network("127.0.0.1/32"),
        description="Network that only trainers share, such as `10.0.7.0/24`; each uses its own address in it. The "
        "default is for trainers on one machine.",
    )
    timeout_s: PositiveFloat = Field(
        default=10.0,
        description="Time after which a trainer that does not answer is lost to a training on several replicas; or "
        "ten times the slowest step, if that is longer.",
    )


class TrainingSettings(BaseSettings):
    """What a training may use of its machine; every variable starts with TIDEPOOL_TRAINING_."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_TRAINING_")

    scratch_bytes: PositiveInt | None = Field(
        default=None,
        description="Images of a dataset that a training keeps in its scratch folder; a larger dataset is streamed. "
        "Half of the free disk if it is not set.",
    )

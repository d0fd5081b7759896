"""Entry point of the autoscaler process."""

import signal
import threading
from types import FrameType

from messaging.cordon import RedisCordon
from messaging.process_presence import ProcessPresence
from messaging.reports import RedisReports
from messaging.settings import BrokerSettings, TelemetrySettings
from messaging.telemetry import start_telemetry
from services.autoscaler.drivers.docker import DockerDriver
from services.autoscaler.drivers.driver import Driver
from services.autoscaler.drivers.engine import Engine
from services.autoscaler.drivers.process import ProcessDriver
from services.autoscaler.loop import Autoscaler
from services.autoscaler.settings import AutoscalerSettings, DockerSettings, DriverName, ProcessSettings
from services.storage.database import Database
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools
from services.storage.pools.queues import JobHolders
from services.storage.settings import DatabaseSettings


def main() -> None:
    start_telemetry("autoscaler", TelemetrySettings())
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    pools = Pools(database)
    broker = BrokerSettings()
    demand, driver = Demand(pools, RedisReports(broker)), driver_of(AutoscalerSettings().driver)
    autoscaler = Autoscaler(pools, demand, JobHolders(database), driver, RedisCordon(broker))
    presence = ProcessPresence("autoscaler", broker)
    presence.start()
    stop = threading.Event()

    def finish(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    autoscaler.run(stop, presence.passed)


def driver_of(name: DriverName) -> Driver:
    """Create the driver and read its settings from the environment."""
    if name is DriverName.DOCKER:
        docker = DockerSettings()
        return DockerDriver(Engine(docker.docker_url, docker.project))
    process = ProcessSettings()
    return ProcessDriver(process.replicas_file, process.state_file)


if __name__ == "__main__":
    main()

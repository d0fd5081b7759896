"""Several gateways in one container: as many processes as TIDEPOOL_GATEWAYS says, each restarted alone.

The processes share the port of the API, and the kernel gives each a share of the connections. The first serves its
metrics on TIDEPOOL_METRICS_PORT, the next on the port after it, and so on; TIDEPOOL_PROBE_PORT counts up as well.
"""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

import structlog

from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from services.gateway import main as gateway
from services.gateway.edge.certificate import BadCertificate
from services.gateway.edge.listening import PortInUse
from services.gateway.settings import GatewaySettings

POLL_S = 0.25
GRACE_S = 28.0  # from SIGTERM to SIGKILL; a gateway takes up to 21 s to answer what it has accepted
SOON_S = 60.0  # a process that ends by itself before this time, at its first start, cannot start at all
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0  # of a restart; doubled at each death
HEALTHY_S = 60.0  # of life, after which the next restart comes after FIRST_DELAY_S again

log = structlog.get_logger()


class Member:
    """One process, which is started again after a delay when it ends."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self.environment = environment
        self._delay = FIRST_DELAY_S
        self._due = self._started = 0.0
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def check(self) -> int | None:
        """Start the process if it is due; return the exit status of one that cannot start at all, else None."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._due:
                self._start()
            return None
        if (status := self.process.poll()) is None:
            return None
        lived, self.process = now - self._started, None
        if self._starts == 1 and status > 0 and lived < SOON_S:
            return status
        self._delay = FIRST_DELAY_S if lived >= HEALTHY_S else self._delay
        self._due = now + self._delay
        log.warning("gateway ended", status=status, restarting_in_s=self._delay)
        self._delay = min(MAX_DELAY_S, 2 * self._delay)
        return None

    def _start(self) -> None:
        self._started, self._starts = time.monotonic(), self._starts + 1
        self.process = subprocess.Popen(self._command, env=dict(self.environment))
        log.info("gateway started", pid=self.process.pid)


def supervise(members: Sequence[Member], signals: "queue.SimpleQueue[int]") -> int:
    """Keep the processes running until a signal comes; return the exit status."""
    while True:
        for member in members:
            if (status := member.check()) is not None:
                stop(members)
                return status
        try:
            if signals.get(timeout=POLL_S) != signal.SIGCHLD:
                return stop(members)
        except queue.Empty:
            continue


def stop(members: Sequence[Member]) -> int:
    """Send SIGTERM to all, and SIGKILL to those that outlive the grace; return 0, or 1 if one did."""
    processes = [member.process for member in members if member.process is not None]
    for process in processes:
        process.terminate()
    until, killed = time.monotonic() + GRACE_S, 0
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed = 1
    return killed


def members_of(count: int, ports: Mapping[str, int], environment: Mapping[str, str]) -> list[Member]:
    """Return the processes; each has its own of the ports, counted up from these, unless a port is 0."""
    command = [sys.executable, "-m", "services.gateway.main"]
    return [
        Member(command, {**environment, **{name: str(port and port + number) for name, port in ports.items()}})
        for number in range(count)
    ]


def main() -> int:
    settings, telemetry = GatewaySettings(), TelemetrySettings()
    if settings.gateways == 1:
        gateway.main()
        return 0
    start_telemetry("gateways", telemetry.model_copy(update={"metrics_port": 0}))
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() is safe in a signal handler

    def on_signal(number: int, _: FrameType | None) -> None:
        signals.put(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, on_signal)
    ports = {"TIDEPOOL_METRICS_PORT": telemetry.metrics_port, "TIDEPOOL_PROBE_PORT": settings.probe_port}
    return supervise(members_of(settings.gateways, ports, os.environ), signals)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BadCertificate, PortInUse) as error:
        sys.exit(str(error))

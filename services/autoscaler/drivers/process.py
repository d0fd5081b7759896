"""The driver for local processes, which writes the desired replicas to a file that the supervisor reads."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from contract.errors import Unavailable
from contract.pools import POOL_NAMES, PoolName
from contract.supervision import DESIRED, REPORTS, ComponentReport, DesiredReplicas, State
from services.autoscaler.drivers.driver import Replica

NOT_RUNNING = frozenset({State.DRAINING, State.STOPPED})


class ProcessDriver:
    """Communicates with the supervisor through two files, each written by one side; see contract.supervision."""

    created_by_people = False

    def __init__(self, replicas_file: Path, state_file: Path) -> None:
        self._replicas_file = replicas_file
        self._state_file = state_file

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        reports = self._reports()
        desired = self._desired(reports)
        return {
            pool: tuple(_replica(pool, report, desired[pool]) for report in reports if report.role == pool)
            for pool in POOL_NAMES
        }

    def start(self, replica: Replica) -> None:
        desired = self._desired(self._reports())
        self._write(desired | {replica.pool: desired[replica.pool] | {replica.number}})

    def stop(self, replica: Replica) -> None:
        desired = self._desired(self._reports())
        self._write(desired | {replica.pool: desired[replica.pool] - {replica.number}})

    def _desired(self, reports: Sequence[ComponentReport]) -> dict[PoolName, frozenset[int]]:
        """Return the desired numbers as last written; for a pool missing in the file, the running replicas."""
        written = self._read()
        return {
            pool: frozenset(
                written[pool]
                if pool in written
                else (report.index for report in reports if report.role == pool and report.state not in NOT_RUNNING)
            )
            for pool in POOL_NAMES
        }

    def _write(self, numbers: Mapping[PoolName, frozenset[int]]) -> None:
        """Replace the file atomically. It must name every pool: of a missing one, the supervisor runs all replicas."""
        desired: DesiredReplicas = {pool: tuple(sorted(numbers[pool])) for pool in numbers}
        draft = self._replicas_file.with_suffix(".draft")
        try:
            draft.write_bytes(DESIRED.dump_json(desired))
            draft.replace(self._replicas_file)
        except OSError as error:
            raise Unavailable("the file of desired replicas cannot be written; check TIDEPOOL_REPLICAS_FILE") from error

    def _read(self) -> DesiredReplicas:
        try:
            return DESIRED.validate_json(self._replicas_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return {}
        except OSError as error:
            raise Unavailable("the file of desired replicas cannot be read; check TIDEPOOL_REPLICAS_FILE") from error

    def _reports(self) -> list[ComponentReport]:
        """Return the supervisor's last reports, in ascending order of index."""
        try:
            reports = REPORTS.validate_json(self._state_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise Unavailable("the supervisor has not reported its replicas; check TIDEPOOL_STATE_FILE") from error
        return sorted(reports, key=lambda report: report.index)


def _replica(pool: PoolName, report: ComponentReport, desired: frozenset[int]) -> Replica:
    """Return the replica in the state it will have once the supervisor has read the desired numbers."""
    if report.index in desired:
        state = State.READY if report.state is State.READY else State.STARTING
    else:
        state = State.STOPPED if report.state is State.STOPPED else State.DRAINING
    return Replica(pool, report.index, state, worker=f"{socket.gethostname()}:{report.pid}")

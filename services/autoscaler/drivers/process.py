"""The driver of local processes: it writes the desired replicas to a file that the supervisor follows."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from contract.errors import Unavailable
from contract.pools import POOL_NAMES, PoolName
from contract.supervision import DESIRED, REPORTS, DesiredReplicas, Report, State
from services.autoscaler.drivers.driver import Replica

LEAVING = frozenset({State.DRAINING, State.STOPPED})


class ProcessDriver:
    """Two files lie between this process and the supervisor, each written by one of them; see contract.supervision."""

    created_by_people = False

    def __init__(self, replicas_file: Path, state_file: Path) -> None:
        self._replicas_file = replicas_file
        self._state_file = state_file

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        reports = self._reports()
        wanted = self._wanted(reports)
        return {
            pool: tuple(_replica(pool, report, wanted[pool]) for report in reports if report.role == pool)
            for pool in POOL_NAMES
        }

    def start(self, replica: Replica) -> None:
        wanted = self._wanted(self._reports())
        self._write(wanted | {replica.pool: wanted[replica.pool] | {replica.number}})

    def stop(self, replica: Replica) -> None:
        wanted = self._wanted(self._reports())
        self._write(wanted | {replica.pool: wanted[replica.pool] - {replica.number}})

    def _wanted(self, reports: Sequence[Report]) -> dict[PoolName, frozenset[int]]:
        """As it was written; of a pool of which nothing can be read, those that run stay wanted."""
        written = self._written()
        return {
            pool: frozenset(
                written[pool]
                if pool in written
                else (report.index for report in reports if report.role == pool and report.state not in LEAVING)
            )
            for pool in POOL_NAMES
        }

    def _write(self, numbers: Mapping[PoolName, frozenset[int]]) -> None:
        """Whole or not at all, and of every pool: of one that is not named, the supervisor runs all replicas."""
        wanted: DesiredReplicas = {pool: tuple(sorted(numbers[pool])) for pool in numbers}
        draft = self._replicas_file.with_suffix(".draft")
        try:
            draft.write_bytes(DESIRED.dump_json(wanted))
            draft.replace(self._replicas_file)
        except OSError as error:
            raise Unavailable("which replicas shall run cannot be written") from error

    def _written(self) -> DesiredReplicas:
        try:
            return DESIRED.validate_json(self._replicas_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return {}
        except OSError as error:
            raise Unavailable("which replicas shall run cannot be read") from error

    def _reports(self) -> list[Report]:
        """What the supervisor said last, by rising index."""
        try:
            reports = REPORTS.validate_json(self._state_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise Unavailable("the supervisor has not said which replicas there are") from error
        return sorted(reports, key=lambda report: report.index)


def _replica(pool: PoolName, report: Report, wanted: frozenset[int]) -> Replica:
    """What it is, or is about to be as soon as the supervisor has read what is wanted."""
    if report.index in wanted:
        state = State.READY if report.state is State.READY else State.STARTING
    else:
        state = State.STOPPED if report.state is State.STOPPED else State.DRAINING
    return Replica(pool, report.index, state, worker=f"{socket.gethostname()}:{report.pid}")

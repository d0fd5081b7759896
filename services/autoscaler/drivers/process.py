"""The driver of local processes: it writes which of them shall run, and the embedded stack's supervisor follows."""

import socket
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contract.errors import Unavailable
from contract.pools import POOL_NAMES, PoolName
from contract.supervision import REPORTS, WANTED, Report, State, Wanted
from services.autoscaler.drivers.driver import Replica


class ProcessDriver:
    """Two files lie between this process and the supervisor, each written by one of them; see contract.supervision."""

    created_elsewhere = False

    def __init__(self, replicas_file: Path, state_file: Path) -> None:
        self._replicas_file = replicas_file
        self._state_file = state_file

    def replicas(self) -> Mapping[PoolName, tuple[Replica, ...]]:
        wanted, reports = self._wanted(), self._reports()
        return {
            pool: tuple(_replica(pool, report, wanted) for report in reports if report.role == pool)
            for pool in POOL_NAMES
        }

    def start(self, replica: Replica) -> None:
        self._want(replica.pool, self._numbers(replica.pool) | {replica.number})

    def stop(self, replica: Replica) -> None:
        self._want(replica.pool, self._numbers(replica.pool) - {replica.number})

    def _numbers(self, pool: PoolName) -> set[int]:
        """Of those that are wanted; where nothing was ever written, that is all."""
        wanted = self._wanted().get(pool)
        return {report.index for report in self._reports() if report.role == pool} if wanted is None else set(wanted)

    def _want(self, pool: PoolName, numbers: set[int]) -> None:
        """Written whole or not at all."""
        wanted = {**self._wanted(), pool: tuple(sorted(numbers))}
        draft = self._replicas_file.with_suffix(".draft")
        try:
            draft.write_bytes(WANTED.dump_json(wanted))
            draft.replace(self._replicas_file)
        except OSError as error:
            raise Unavailable("which replicas shall run cannot be written") from error

    def _wanted(self) -> Wanted:
        try:
            return WANTED.validate_json(self._replicas_file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise Unavailable("which replicas shall run cannot be read") from error

    def _reports(self) -> list[Report]:
        """What the supervisor said last, by rising index."""
        try:
            reports = REPORTS.validate_json(self._state_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise Unavailable("the supervisor has not said which replicas there are") from error
        return sorted(reports, key=lambda report: report.index)


def _replica(pool: PoolName, report: Report, wanted: Wanted) -> Replica:
    """What it is, or is about to be as soon as the supervisor has read what is wanted."""
    numbers = wanted.get(pool)
    if numbers is None or report.index in numbers:
        state = State.READY if report.state is State.READY else State.STARTING
    else:
        state = State.STOPPED if report.state is State.STOPPED else State.DRAINING
    return Replica(pool, report.index, state, worker=f"{socket.gethostname()}:{report.pid}")

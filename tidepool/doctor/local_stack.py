"""Check the stack of a home folder: the modes of its files, and each of its processes."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from contract.health import Check, passed, problem, warning
from contract.supervision import State
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home
from tidepool.stack.probe import answers
from tidepool.stack.status import Status, StatusRow, status_of
from tidepool.stack.supervisor import NAME as SUPERVISOR

FILES, PROCESSES = "stack files", "stack processes"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MIB = 2**20


def closed(home: Home) -> Path | None:
    """Return the first of the stack's folders that this user may not look into, or its plan, or None."""
    folders = (home.path, home.run, home.data, _redis(home))
    rights = dict.fromkeys(folders, os.R_OK | os.X_OK) | {home.plan_file: os.R_OK}
    return next((path for path, right in rights.items() if _exists(path) and not os.access(path, right)), None)


def file_checks(home: Home) -> Iterator[Check]:
    """Yield the checks of what only the owner may read; nothing if no stack has run in this home."""
    if not _exists(home.path):
        return
    locked = closed(home)
    if locked is not None:
        advice = "Set TIDEPOOL_HOME to a folder that you own, or run tidepool as the owner of this one."
        yield problem(FILES, "owner", f"{locked} belongs to another user, and you may not look into it", advice)
        return
    redis = _redis(home)
    secret = (home.key_file, home.secrets_file, home.plan_file, redis / "redis.conf", redis / "users.acl")
    checked = [path for path in (home.path, home.data, *secret) if path.exists()]
    others = [path for path in checked if path.stat().st_uid != os.geteuid()]
    if others:
        names = ", ".join(map(str, others))
        advice = f"Run tidepool as the same user as before, or give the folder to this one: chown -R $USER {home.path}"
        yield problem(FILES, "owner", f"another user owns {names}", advice)
    exposed = [path for path in checked if path not in others and path.stat().st_mode & OTHERS]
    if exposed:
        names = " ".join(map(str, exposed))
        advice = f"Make them private: chmod go= {names}. If others have used this machine, make new keys as well."
        yield problem(FILES, "secrets", f"other users of this machine may read {names}", advice)
    if not others and not exposed:
        yield passed(FILES, "secrets", f"only you can read the keys and passwords in {home.path}")


def process_checks(home: Home) -> Iterator[Check]:
    """Yield a check of each process that should run, with the time in which it answers its probe."""
    if not _exists(home.path) or closed(home) is not None:
        return
    status = status_of(home)
    if not status.components:
        return
    if not status.supervised:
        message = "the supervisor does not run, so nothing that dies is restarted"
        yield problem(
            PROCESSES, SUPERVISOR, message, f"Start the stack again: `tidepool up`. Log: {home.log(SUPERVISOR)}"
        )
    probes = {component.name: component.probe for component in StackPlan.load(home.plan_file).components}
    for row in status.components:
        if row.name != SUPERVISOR and row.state != State.STOPPED:
            yield _process_check(row, probes.get(row.name))
    yield from _stopped(status)


def _redis(home: Home) -> Path:
    return home.data / "redis"


def _exists(path: Path) -> bool:
    """Whether a path is known to exist; unlike Path.exists, this never raises PermissionError."""
    return os.access(path, os.F_OK)


def _process_check(row: StatusRow, probe: str | None) -> Check:
    advice = f"Its log says why: {row.log}, or `tidepool logs {row.name}`."
    if row.state in {"dead", State.FAILED}:
        return problem(PROCESSES, row.name, "it does not run", advice)
    if row.state not in {State.READY, "orphaned"}:
        return warning(PROCESSES, row.name, f"it is {row.state}", f"Look again in a minute. {advice}")
    started = time.perf_counter()
    if probe is not None and not answers(probe):
        return problem(PROCESSES, row.name, "it runs, but does not answer", advice)
    milliseconds = 1000 * (time.perf_counter() - started)
    memory = "" if row.memory_bytes is None else f", {row.memory_bytes / MIB:.0f} MiB"
    if row.restarts:
        times = "once" if row.restarts == 1 else f"{row.restarts} times"
        message = f"it answers{memory}, and was restarted {times}"
        return warning(PROCESSES, row.name, message, advice, milliseconds)
    return passed(PROCESSES, row.name, f"it answers{memory}", milliseconds)


def _stopped(status: Status) -> Iterator[Check]:
    stopped = [row.name for row in status.components if row.state == State.STOPPED]
    if stopped:
        yield passed(PROCESSES, "stopped", f"{len(stopped)} replicas are stopped until they are needed")

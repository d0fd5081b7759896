"""Check a deployment through its API: the way to it, the key, the clock, and its own health report."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from contract import __version__
from contract.access import ApiKey
from contract.health import Check, HealthReport, passed, problem, warning
from tidepool_client import Client, ClientError, Forbidden, NotFound, Unauthenticated, Unreachable

COMPONENT = "connection"
TRIES = 5  # of the latency; the first one opens the connection
SLOW_MS = 200.0
CLOCK_S = 5.0
EXPIRES_SOON = timedelta(days=14)
HEALTH_S = 15.0  # the gateway's checks have deadlines of 5 s


class KeyRefused(Exception):
    """The deployment answers, but does not accept the key; `check` says so."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.message)
        self.check = check


def deployment_checks(client: Client, source: str) -> Iterator[Check]:
    """Yield what the API tells; `source` is where the address comes from. Raises KeyRefused."""
    try:
        yield _latency(client, source)
    except ClientError as error:
        yield _unreachable(client, source, error)
        return
    try:
        ready = client.ready()
    except ClientError as error:
        advice = "Without its database the gateway accepts no job. Is it running? See its log and the gateway's."
        yield problem(COMPONENT, "ready", f"the gateway is not ready: {error}", advice)
        return
    broken = [name for name, state in vars(ready).items() if name != "status" and state != "ok"]
    if broken:
        advice = "Is it running? See its log and the gateway's."
        yield problem(COMPONENT, "ready", f"the gateway does not reach: {', '.join(broken)}", advice)
    try:
        yield _key(client.me(), datetime.now(UTC))
    except Unauthenticated as error:
        advice = "Log in again with `tidepool login URL`, or correct TIDEPOOL_API_KEY."
        raise KeyRefused(problem(COMPONENT, "key", str(error), advice)) from error
    except ClientError as error:
        yield problem(COMPONENT, "key", f"the key could not be checked: {error}", "See the gateway's log.")
        return
    yield from _report(client)


def _latency(client: Client, source: str) -> Check:
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        client.live()
        times.append(1000 * (time.perf_counter() - started))
    message = f"{client.url} answers ({source})"
    if min(times) <= SLOW_MS:
        return passed(COMPONENT, "latency", message, min(times))
    return warning(COMPONENT, "latency", message, "The network or the gateway is slow from here.", min(times))


def _unreachable(client: Client, source: str, error: ClientError) -> Check:
    if isinstance(error, Unreachable):
        advice = (
            "Is the server running, and is its address right? For the stack in this folder, see the processes above."
        )
    else:
        advice = "Is this the address of a Tidepool, and of no other server or proxy?"
    return problem(COMPONENT, "latency", f"{error} ({source})", advice)


def _key(key: ApiKey, now: datetime) -> Check:
    scopes = ", ".join(sorted(key.scopes))
    message = f"{key.name} ({key.id}) in the project {key.project} may: {scopes}"
    if key.expires_at is not None and key.expires_at - now < EXPIRES_SOON:
        advice = "Make a new one: `tidepool keys create NAME`."
        return warning(COMPONENT, "key", f"{message}; it expires on {key.expires_at:%Y-%m-%d}", advice)
    return passed(COMPONENT, "key", message)


def _report(client: Client) -> Iterator[Check]:
    """Yield the deployment's own checks; with an older server or another key, say why there are none."""
    began = datetime.now(UTC)
    try:
        report = client.health()
    except Forbidden:
        advice = "Use a key of the instance's admin (role `instance-admin`) to see the components."
        yield warning(COMPONENT, "report", "this key may not see the health of the deployment", advice)
    except NotFound:
        advice = "Upgrade the server; older ones have no report."
        yield warning(COMPONENT, "report", "the server is of a release without a health report", advice)
    except ClientError as error:
        yield problem(COMPONENT, "report", f"the report could not be made: {error}", "See the gateway's log.")
    else:
        yield from _comparison(report, began, datetime.now(UTC))
        yield from report.checks


def _comparison(report: HealthReport, began: datetime, ended: datetime) -> Iterator[Check]:
    ahead_s = (report.at - min(max(report.at, began), ended)).total_seconds()
    if abs(ahead_s) <= CLOCK_S:
        yield passed(COMPONENT, "clock", f"as this machine's, within {CLOCK_S:g} s")
    else:
        direction = "ahead of" if ahead_s > 0 else "behind"
        message = f"the gateway's clock is {abs(ahead_s):.0f} s {direction} this machine's"
        yield warning(COMPONENT, "clock", message, "Let both machines set their clocks by NTP.")
    if report.version != __version__:
        message = f"the gateway is Tidepool {report.version}, this command {__version__}"
        yield warning(COMPONENT, "version", message, "Use the same release on both sides.")

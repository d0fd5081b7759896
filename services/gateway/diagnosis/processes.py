"""What the reports of gateways, the storage process, autoscalers and replicas mean."""

from collections.abc import Iterable, Iterator, Mapping

from contract import __version__
from contract.health import Check, passed, problem, warning
from contract.pools import Measured
from contract.reports import PoolReports, ProcessReport
from services.storage.pools.demand import ONLINE
from services.storage.pools.pools import PoolSetting

STUCK_S = 30.0  # without a finished pass of a loop; a pass takes well under a second

_DUTIES = {
    "storage": "jobs that have failed are not repaired, and lost wake-up messages not sent again",
    "autoscaler": "no pool is scaled",
}
UNKNOWN, LONGEST, MOST = "an older one", 24, 5
_SAME = "Finish the upgrade: restart the processes that are of another release."


def gateway_checks(reports: Mapping[str, PoolReports] | None) -> Iterator[Check]:
    """Yield the check of all gateways of the deployment, which report in Redis."""
    gateways = () if reports is None or ONLINE not in reports else tuple(reports[ONLINE].gateways.values())
    if gateways:
        versions = _others(gateway.version for gateway in gateways)
        message = f"{len(gateways)} {'gateway reports' if len(gateways) == 1 else 'gateways report'}"
        if versions:
            yield warning("gateway", "gateways", f"{message}, some of another release: {versions}", _SAME)
        else:
            yield passed("gateway", "gateways", f"{message}, of the same release")


def process_checks(reports: Mapping[str, Mapping[str, ProcessReport]] | None, has_autoscaler: bool) -> Iterator[Check]:
    """Yield a check of the storage process and one of the autoscaler."""
    if reports is None:
        advice = "Repair Redis first, or give it the users of this release: docs/security.md."
        for role in _DUTIES:
            yield warning(role, "runs", "unknown, because its reports cannot be read from Redis", advice)
        return
    yield _process("storage", reports.get("storage", {}))
    if reports.get("autoscaler") or has_autoscaler:
        yield _process("autoscaler", reports.get("autoscaler", {}))
    else:
        yield passed("autoscaler", "runs", "there is none, as where KEDA scales the pools")


def pool_check(setting: PoolSetting, measured: Measured, reports: Mapping[str, PoolReports] | None) -> Check:
    """Return the check of a pool's replicas: enough of them, and of this gateway's release."""
    name = setting.name
    if measured.ready is None or reports is None:
        return warning(name, "replicas", "unknown, because Redis does not answer", "Repair Redis first.")
    versions = _others(replica.version for replica in reports.get(name, PoolReports()).replicas.values())
    message = f"{measured.ready} ready of {setting.desired} desired, {measured.waiting or 0} waiting"
    if measured.draining:
        message += f", {measured.draining} draining"
    log = f"See their log: `tidepool logs {name}` or `docker compose logs {name}`."
    if setting.created is not None and setting.created < setting.desired:
        advice = f"Only {setting.created} can be started: create more, or ask for fewer with `tidepool scale {name}`."
        return warning(name, "replicas", message, advice)
    if measured.ready == 0 and (measured.waiting or (setting.desired and setting.created is not None)):
        return problem(name, "replicas", message, f"No replica works. If none comes within a minute: {log}")
    if measured.ready < setting.desired and setting.created is not None:
        return warning(name, "replicas", message, f"Some are starting, or do not start. {log}")
    if versions:
        return warning(name, "replicas", f"{message}; some of another release: {versions}", _SAME)
    return passed(name, "replicas", message)


def span(seconds: float) -> str:
    """Return text like `42 s`, `12 min`, `3.5 h` or `12 days`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days"


def _process(role: str, reports: Mapping[str, ProcessReport]) -> Check:
    duty = _DUTIES[role]
    if not reports:
        advice = f"Start it, or see its log: `tidepool logs {role}` or `docker compose logs {role}`."
        return problem(role, "runs", f"none reports, so {duty}", advice)
    idle_s = min(report.idle_s for report in reports.values())
    if idle_s > STUCK_S:
        advice = f"Does it reach the database and Redis? See its log: `tidepool logs {role}`."
        return problem(role, "runs", f"it has finished no pass for {span(idle_s)}, so {duty}", advice)
    if versions := _others(report.version for report in reports.values()):
        return warning(role, "runs", f"it runs, but is of another release: {versions}", _SAME)
    return passed(role, "runs", f"it runs, Tidepool {__version__}")


def _others(versions: Iterable[str | None]) -> str:
    """Return the releases other than this gateway's, as text; empty without any. Redis is not trusted to be brief."""
    return ", ".join(sorted({(version or UNKNOWN)[:LONGEST] for version in versions} - {__version__})[:MOST])

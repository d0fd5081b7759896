"""What the facts of the database, Redis and the object store mean."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from contract.health import Check, passed, problem, warning
from contract.reports import BrokerFacts
from services.storage.diagnosis import DatabaseFacts, StoreFacts

SLOW_S = 0.1  # of one query or request
CLOCK_S = 2.0  # difference to the gateway's clock; leases last a minute
FULL, VERY_FULL = 0.7, 0.9  # shares of Redis's memory
POLICY = "noeviction"
MIB = 2**20
LONGEST = 60  # characters of the name of a product

_RIGHTS = (
    "Give Redis the users of this release: `tidepool down` and `up`, `docker compose up`, or for your own Redis "
    "`python -m messaging.redis_users`."
)


def database_checks(facts: DatabaseFacts, now: datetime) -> Sequence[Check]:
    return (
        _latency("database", f"{facts.server} answers", facts.latency_s),
        _schema(facts),
        *(() if facts.clock is None else _clock("database", (facts.clock - now).total_seconds())),
    )


def broker_checks(facts: BrokerFacts, now: float) -> Sequence[Check]:
    version = "Redis" if facts.version is None else f"Redis {facts.version}"
    return (
        _latency("redis", f"{version} answers", facts.latency_s),
        *_clock("redis", facts.clock - now),
        _rights(facts),
        *_memory(facts),
    )


def store_checks(facts: StoreFacts, now: datetime) -> Sequence[Check]:
    name = "" if facts.server is None else f", as {facts.server[:LONGEST]}"
    checks = [_latency("object store", f"it answers{name}", facts.latency_s)]
    if facts.missing:
        names = " and ".join(facts.missing)
        advice = (
            "Run the command `init` of the storage process, which creates them: `tidepool up` or `docker compose up`."
        )
        checks.append(problem("object store", "buckets", f"there is no bucket for {names}", advice))
    else:
        checks.append(passed("object store", "buckets", "all are there"))
    if facts.clock is not None:
        checks.extend(_clock("object store", (facts.clock - now).total_seconds()))
    return tuple(checks)


def _latency(component: str, message: str, seconds: float) -> Check:
    if seconds <= SLOW_S:
        return passed(component, "answers", message, 1000 * seconds)
    advice = "Is its machine or the network busy? Put it closer to the gateway, or give it more cores."
    return warning(component, "answers", f"{message}, but slowly", advice, 1000 * seconds)


def _schema(facts: DatabaseFacts) -> Check:
    if facts.revision == facts.newest:
        return passed("database", "schema", f"migration {facts.revision}, the newest of this release")
    if facts.revision is None:
        advice = "Run the command `init` of this release's storage process, which migrates and grants the right."
        return warning("database", "schema", "the schema's migration is unknown, or may not be read", advice)
    message = f"migration {facts.revision}; this gateway's release has {facts.newest}"
    if facts.revision < facts.newest:
        advice = "Run the command `init` of this release's storage process: `tidepool up` or `docker compose up`."
        return problem("database", "schema", message, advice)
    return warning("database", "schema", message, "This gateway is older than the schema. Upgrade it, too.")


def _rights(facts: BrokerFacts) -> Check:
    if facts.version is None:
        return warning("redis", "rights", "the gateway may not ask Redis for its memory", _RIGHTS)
    if facts.user == "default":
        advice = "Give each service its own user (docs/security.md), so that a worker cannot read the others' data."
        return warning("redis", "rights", "the gateway uses the user `default`, which may do everything", advice)
    return passed("redis", "rights", f"the gateway has its own user, {facts.user}")


def _memory(facts: BrokerFacts) -> Iterator[Check]:
    if facts.policy is not None and facts.policy != POLICY:
        advice = f"Set maxmemory-policy to {POLICY}, or Redis drops queued work when its memory is full."
        yield problem("redis", "eviction", f"the policy is {facts.policy}", advice)
    elif facts.policy is not None:
        yield passed("redis", "eviction", f"the policy is {POLICY}")
    if facts.used_bytes is None:
        return
    if not facts.limit_bytes:
        advice = "Set maxmemory, such as 512mb, so that Redis cannot take the memory of the machine."
        yield warning("redis", "memory", f"{facts.used_bytes / MIB:.0f} MiB used, without a limit", advice)
        return
    share = facts.used_bytes / facts.limit_bytes
    message = f"{facts.used_bytes / MIB:.0f} of {facts.limit_bytes / MIB:.0f} MiB used"
    advice = "Raise maxmemory, add inference replicas, or lower TIDEPOOL_BATCH_BYTES_IN_FLIGHT."
    if share < FULL:
        yield passed("redis", "memory", message)
    else:
        yield (warning if share < VERY_FULL else problem)("redis", "memory", message, advice)


def _clock(component: str, difference_s: float) -> Sequence[Check]:
    if abs(difference_s) <= CLOCK_S:
        return (passed(component, "clock", f"as the gateway's, within {CLOCK_S:g} s"),)
    message = f"{abs(difference_s):.0f} s {'ahead of' if difference_s > 0 else 'behind'} the gateway's"
    return (warning(component, "clock", message, "Let both machines set their clocks by NTP."),)

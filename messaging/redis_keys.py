"""The Redis keys of batches, replies and presence, and the Lua scripts that update them; see docs/adr/0012."""

BATCH_TTL_S = 300  # for batches and replies that are not taken
PRESENCE_TTL_S = 3  # a replica or gateway counts as lost this long after its last heartbeat
DEPARTED_TTL_S = 30  # for the names of replicas that left in order
CORDON_TTL_S = 5
MOST_MEMBERS = 10_000  # of a presence set that are read, the latest ones

# Push a batch, if given, and a wake-up message unless there is one for every waiting batch: an awake replica takes
# batches without wake-up messages, a sleeping one needs one. KEYS: batches, wake-up messages. ARGV: wake-up message,
# batch.
PUSH = f"""
if ARGV[2] then redis.call('RPUSH', KEYS[1], ARGV[2]) end
redis.call('EXPIRE', KEYS[1], {BATCH_TTL_S})
if redis.call('LLEN', KEYS[2]) < redis.call('LLEN', KEYS[1]) then redis.call('LPUSH', KEYS[2], ARGV[1]) end
"""

# Remove members without recent heartbeats. Uses the clock of Redis, as those of the replicas may differ.
# KEYS: a presence set and the hash of its reports.
_EXPIRE = f"""
local now = tonumber(redis.call('TIME')[1])
for _, lost in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - {PRESENCE_TTL_S})) do
  redis.call('ZREM', KEYS[1], lost)
  redis.call('HDEL', KEYS[2], lost)
end
"""

# Record the heartbeat of a member, if given. ARGV: name, report. It returns nothing: with the names of all members, a
# thousand replicas would make Redis send a million names a second.
RECORD = f"""{_EXPIRE}
if ARGV[1] then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
"""

# The same, and return the names of the members present.
BEAT = f"""{RECORD}
return redis.call('ZRANGE', KEYS[1], -{MOST_MEMBERS}, -1)
"""

# Return the last reports of all members present.
READ_REPORTS = f"""{_EXPIRE}
return redis.call('HGETALL', KEYS[2])
"""

# Remove a replica that has answered every batch it took. It may have consumed a wake-up message, so push another if
# batches wait. KEYS: presence, reports, departed, batches, wake-up messages. ARGV: its name, a wake-up message.
LEAVE = f"""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[3], {DEPARTED_TTL_S})
if redis.call('LLEN', KEYS[5]) < redis.call('LLEN', KEYS[4]) then redis.call('LPUSH', KEYS[5], ARGV[2]) end
"""


def is_wrong_type(error: Exception) -> bool:
    """Return whether Redis refused a command because a key has another type."""
    return str(error).startswith("WRONGTYPE")


def batches(pool: str) -> str:
    """The list of batches waiting for a replica."""
    return f"tidepool:{pool}:batches"


def wakeups(pool: str) -> str:
    """The Celery queue of wake-up messages for batches."""
    return f"{pool}.batches"


def private_queue(pool: str, worker: str) -> str:
    """The Celery queue of a worker's own heartbeats."""
    return f"{pool}.{worker}"


def bindings(queue: str) -> tuple[str, str]:
    """The sets in which kombu keeps what is bound to the exchange of a Celery queue."""
    return f"_kombu.binding.{queue}", f"_kombu.binding_permanent.{queue}"


def replicas(pool: str) -> str:
    """The sorted set of present replicas, scored by the time of their last heartbeat."""
    return f"tidepool:{pool}:replicas"


def departed(pool: str) -> str:
    """The set of replicas that left after answering every batch they took."""
    return f"tidepool:{pool}:left"


def cordoned(pool: str) -> str:
    """The set of cordoned workers, as `host:pid`, or `host` for a host with a single worker."""
    return f"tidepool:{pool}:cordoned"


def gateways(pool: str) -> str:
    """The sorted set of present gateways of the pool, scored as in `replicas`."""
    return f"tidepool:{pool}:gateways"


def processes(role: str) -> str:
    """The sorted set of present storage processes or autoscalers, scored as in `replicas`."""
    return f"tidepool:{role}:processes"


def reports(presence: str) -> str:
    """The hash of the reports of the members of a presence set."""
    return f"{presence}:reports"


def replies(gateway: str) -> str:
    """The list of replies for one gateway."""
    return f"tidepool:replies:{gateway}"

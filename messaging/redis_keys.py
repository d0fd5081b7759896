"""What a pool's online work and its presence are called in Redis, and the scripts that keep them; see docs/adr/0012."""

KEEP_S = 300  # seconds until batches and replies are forgotten that nobody takes
PRESENT_S = 3  # seconds after its last beat until a replica counts as gone
LEFT_S = 30  # seconds for which it is known that a replica is gone because it wanted to
CORDON_S = 5  # seconds for which a word holds that a worker is one too many

# A wakeup for every batch that waits: an awake replica takes batches without wakeups, a sleeping one needs its own.
PUSH = f"""
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], {KEEP_S})
if redis.call('LLEN', KEYS[2]) < redis.call('LLEN', KEYS[1]) then redis.call('LPUSH', KEYS[2], ARGV[2]) end
"""

# By the clock of Redis, since those of the replicas may differ. KEYS are a presence and the reports of those in it.
_FORGET = f"""
local now = tonumber(redis.call('TIME')[1])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - {PRESENT_S})) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
"""

# Who lives, after a beat of the one that ARGV names, with its report.
BEAT = f"""{_FORGET}
if ARGV[1] then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""

# What they who live said last.
LOOK = f"""{_FORGET}
return redis.call('HGETALL', KEYS[2])
"""

# A replica leaves and owes no answer. ARGV: its name, and a wake-up message for what waits, as it may have taken one.
LEAVE = f"""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[3], {LEFT_S})
if redis.call('LLEN', KEYS[5]) < redis.call('LLEN', KEYS[4]) then redis.call('LPUSH', KEYS[5], ARGV[2]) end
"""


def batches(pool: str) -> str:
    """The list in which batches wait for a replica."""
    return f"tidepool:{pool}:batches"


def wakeups(pool: str) -> str:
    """The Celery queue whose messages wake a replica."""
    return f"{pool}.batches"


def replicas(pool: str) -> str:
    """The sorted set of the replicas that live, by the time of their last beat."""
    return f"tidepool:{pool}:replicas"


def left(pool: str) -> str:
    """The set of the replicas that are gone and owe no answer."""
    return f"tidepool:{pool}:left"


def cordoned(pool: str) -> str:
    """The set of the workers that are too many, by `host:pid` or by a host that has but one."""
    return f"tidepool:{pool}:cordoned"


def gateways(pool: str) -> str:
    """The same, of the gateways that ask the pool."""
    return f"tidepool:{pool}:gateways"


def reports(presence: str) -> str:
    """The hash of what those in a presence say of themselves."""
    return f"{presence}:reports"


def replies(gateway: str) -> str:
    """The list from which one gateway takes its replies."""
    return f"tidepool:replies:{gateway}"

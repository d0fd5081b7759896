"""What a pool's online work is called in Redis, and the scripts that keep it consistent; see docs/adr/0012."""

KEEP_S = 300  # seconds until batches and replies are forgotten that nobody takes
PRESENT_S = 3  # seconds after its last beat until a replica counts as gone

# A bell for every batch that waits: an awake replica takes batches without bells, a sleeping one needs its own.
PUSH = f"""
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], {KEEP_S})
if redis.call('LLEN', KEYS[2]) < redis.call('LLEN', KEYS[1]) then redis.call('LPUSH', KEYS[2], ARGV[2]) end
"""

# By the clock of Redis, since those of the replicas may differ.
BEAT = f"""
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {PRESENT_S})
if ARGV[1] then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


def batches(pool: str) -> str:
    """The list in which batches wait for a replica."""
    return f"tidepool:{pool}:batches"


def bells(pool: str) -> str:
    """The Celery queue whose messages wake a replica."""
    return f"{pool}.batches"


def replicas(pool: str) -> str:
    """The sorted set of the replicas that live, by the time of their last beat."""
    return f"tidepool:{pool}:replicas"


def replies(gateway: str) -> str:
    """The list from which one gateway takes its replies."""
    return f"tidepool:replies:{gateway}"

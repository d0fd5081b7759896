"""The Redis users: one for each service, which may run only the commands and use only the keys that its code uses.

`python -m messaging.redis_users` prints the ACL file, with `{gateway}` and the like in place of SHA-256 hashes of
passwords; with the argument `servers`, the lines of the users of replicas and Sentinels. See docs/adr/0030.
`tests/integration/messaging/test_redis_users.py` runs the services as these users.
"""

import hashlib
import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from contract.pools import POOL_NAMES, PoolName
from contract.reports import PROCESSES
from messaging import redis_keys

RedisUser = Literal["gateway", "sweep", "preprocess", "trainer", "inference", "autoscaler", "probe"]
REDIS_USERS: tuple[RedisUser, ...] = get_args(RedisUser)
PROBE: RedisUser = "probe"  # of health checks

Release = tuple[int, int]
OLDEST: Release = (6, 2)
READ_OR_WRITE: Release = (7, 0)  # permits reading or writing of keys separately; before, both
LATEST: Release = (8, 0)
_NOTHING = "reset resetchannels"  # in 6.2, `reset` permits all channels
_SINCE: Mapping[str, Release] = {"client|setinfo": (7, 2)}  # clients ignore its refusal


class RedisRights(NamedTuple):
    """Commands, and patterns of the keys that a user reads and writes, only reads, or only writes.

    The keys of a script count as read and written.
    """

    commands: frozenset[str]
    keys: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


_CONNECT = frozenset({"ping", "select", "client|setinfo"})
_SEND = frozenset({"multi", "exec", "sadd", "llen", "lpush"})  # a Celery message
_EXPIRE_MEMBERS = frozenset({"eval", "time", "zrangebyscore", "zrem", "hdel"})
_BEAT = _EXPIRE_MEMBERS | {"zadd", "hset", "zrange"}
_REPORTS = _EXPIRE_MEMBERS | {"hgetall"}
_RECEIVE = frozenset({"brpop"})
_LEAVE = frozenset({"eval", "zrem", "hdel", "sadd", "expire", "llen", "lpush"})
_PUSH = frozenset({"script|load", "evalsha", "rpush", "expire", "llen", "lpush"})
_WORKER = _CONNECT | _SEND | _RECEIVE | _BEAT | _LEAVE | {"expire", "smismember", "del"}


def _presence(pool: str) -> tuple[str, ...]:
    return _with_reports(redis_keys.replicas(pool), redis_keys.gateways(pool))


def _with_reports(*presence: str) -> tuple[str, ...]:
    return (*presence, *map(redis_keys.reports, presence))


def _queues(pool: str) -> tuple[str, ...]:
    """Return the queues of a pool: its own, that of its wake-up messages for batches, and the private ones."""
    return pool, redis_keys.private_queue(pool, "*")


def _bindings(*queues: str) -> tuple[str, ...]:
    return tuple(key for queue in queues for key in redis_keys.bindings(queue))


def _worker(pool: PoolName) -> RedisRights:
    replicas = redis_keys.replicas(pool)
    return RedisRights(
        _WORKER,
        keys=(
            *_queues(pool),
            *(replicas, redis_keys.reports(replicas), redis_keys.departed(pool), redis_keys.batches(pool)),
        ),
        reads=(redis_keys.cordoned(pool),),
        writes=_bindings(*_queues(pool)),
    )


def _answering(pool: PoolName) -> RedisRights:
    """Return the rights of a worker that also answers batches."""
    worker = _worker(pool)
    return worker._replace(
        commands=worker.commands | {"blpop", "rpush"}, writes=(*worker.writes, redis_keys.replies("*"))
    )


_ONLINE: PoolName = "inference"
_ALL_PRESENCE = tuple(key for pool in POOL_NAMES for key in _presence(pool))

RIGHTS: Mapping[RedisUser, RedisRights] = {
    "gateway": RedisRights(
        _CONNECT | _BEAT | _REPORTS | _PUSH | {"lrem", "blpop", "smembers", "info"},  # info: for /v1/health
        keys=(
            *_ALL_PRESENCE,
            *_with_reports(*map(redis_keys.processes, PROCESSES)),
            *(redis_keys.batches(_ONLINE), redis_keys.wakeups(_ONLINE), redis_keys.replies("*")),
        ),
        reads=(redis_keys.departed(_ONLINE),),
    ),
    "sweep": RedisRights(
        _CONNECT | _SEND | _BEAT | {"info"},
        keys=_with_reports(redis_keys.processes("storage")),
        writes=(*POOL_NAMES, *_bindings(*POOL_NAMES)),
    ),
    "preprocess": _worker("preprocess"),
    "trainer": _worker("trainer"),
    "inference": _answering(_ONLINE),
    "autoscaler": RedisRights(
        _CONNECT | _BEAT | _REPORTS | {"multi", "exec", "del", "sadd", "expire"},
        keys=(*_ALL_PRESENCE, *_with_reports(redis_keys.processes("autoscaler"))),
        writes=tuple(map(redis_keys.cordoned, POOL_NAMES)),
    ),
    "probe": RedisRights(frozenset({"ping"})),
}


SERVERS: Mapping[str, str] = {
    "replica": "+ping +psync +replconf",
    # as in Sentinel's documentation, but on its own channel only
    "sentinel": "&__sentinel__:hello +client|kill +client|setname +config|rewrite +exec +info +multi +ping +publish "
    "+role +script|kill +slaveof +subscribe",
}
"""The rights of the servers of a redundant Redis towards each other."""


def server_lines(hashes: Mapping[str, str]) -> str:
    """Return the lines that the ACL file of a redundant Redis has besides; `hashes` as in `acl_file`."""
    return "".join(f"user {user} {_NOTHING} on #{hashes[user]} {rights}\n" for user, rights in SERVERS.items())


def acl_file(hashes: Mapping[RedisUser, str], release: Release = LATEST) -> str:
    """Return the content of an ACL file for a release of Redis; `hashes` are the hex SHA-256 of the passwords.

    The user `default`, with which clients start that give no name, may do nothing.
    """
    return "".join([f"user default {_NOTHING} off\n", *(f"{_line(user, hashes[user], release)}\n" for user in RIGHTS)])


def password_hashes(passwords: Mapping[RedisUser, str]) -> dict[RedisUser, str]:
    return {user: hashlib.sha256(password.encode()).hexdigest() for user, password in passwords.items()}


def _line(user: RedisUser, password_hash: str, release: Release) -> str:
    rights = RIGHTS[user]
    reading, writing = ("%R~", "%W~") if release >= READ_OR_WRITE else ("~", "~")
    patterns = [f"~{key}" for key in rights.keys]
    patterns += [f"{reading}{key}" for key in rights.reads] + [f"{writing}{key}" for key in rights.writes]
    commands = [f"+{command}" for command in sorted(rights.commands) if release >= _SINCE.get(command, OLDEST)]
    return " ".join(["user", user, _NOTHING, "on", f"#{password_hash}", *patterns, *commands])


if __name__ == "__main__":
    if sys.argv[1:] == ["servers"]:
        print(server_lines({user: f"{{{user}}}" for user in SERVERS}), end="")
    else:
        print(acl_file({user: f"{{{user}}}" for user in REDIS_USERS}), end="")

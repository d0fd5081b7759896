"""Where Redis is: one server, or the master that Sentinels name; and clients that leave a demoted master.

A URL is `redis://user:password@host:6379/0`, `rediss://` for TLS, or
`sentinel://user:password@host1:26379,host2:26379,host3:26379/MASTER?db=0`, `sentinels://` for TLS. The user and the
password are Redis's own; `sentinel_username` and `sentinel_password` in the query are those of the Sentinels.
"""

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

SENTINEL_S = 1.0  # for the answer of one Sentinel; the next one is asked after it
SENTINEL_PORT = 26379
# A Redis that vanishes without closing its connections is noticed within about ten seconds.
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 3,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 9000,
}
TLS_SCHEMES = ("rediss:", "sentinels:")

_SENTINEL = re.compile(
    r"(?P<scheme>sentinels?)://(?:(?P<user>[^@/]*)@)?(?P<hosts>[^/?@]+)/(?P<master>[^/?]+)(?:\?(?P<query>.*))?"
)
_DEMOTED = ("You can't write against a read only", "Link with MASTER is down")
_PARAMETERS = {"db", "sentinel_username", "sentinel_password"}
_EXPECTED = "write sentinel://user:password@host1:26379,host2:26379,host3:26379/MASTER?db=0"


def is_demoted(reply: object) -> bool:
    """Return whether Redis refused a command because it is not, or no longer, a master.

    Redis 6.2 wraps the refusal of a script's command; redis-py leaves out the error's code.
    """
    text = str(reply)
    return text.startswith("UNBLOCKED") or any(reason in text for reason in _DEMOTED)


class _LeavesDemoted:
    """Disconnect from a server that refuses commands as a replica, so that the next command looks for the master."""

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            if not is_demoted(error):
                raise
            self.disconnect()  # type: ignore[attr-defined]
            raise redis.ConnectionError("Redis is no longer the master") from error


class ServerConnection(_LeavesDemoted, Connection):
    """A connection to `redis://`."""


class SecureServerConnection(_LeavesDemoted, SSLConnection):
    """A connection to `rediss://`."""


class MasterConnection(_LeavesDemoted, SentinelManagedConnection):
    """A connection to the master that Sentinels name."""


class SecureMasterConnection(_LeavesDemoted, SentinelManagedSSLConnection):
    """The same with TLS."""


@dataclass(frozen=True)
class SentinelUrl:
    """The parts of a `sentinel://` or `sentinels://` URL."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    secure: bool
    login: dict[str, str]  # username and password of Redis
    db: int
    sentinel_login: dict[str, str]

    @classmethod
    def parse(cls, url: str) -> "SentinelUrl":
        """Raise ValueError, without the URL's password, if a part is missing or unknown."""
        match = _SENTINEL.fullmatch(url)
        if match is None:
            raise ValueError(_EXPECTED)
        query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
        if unknown := query.keys() - _PARAMETERS:
            raise ValueError(f"unknown parameters {', '.join(sorted(unknown))}; {_EXPECTED}")
        if not query.get("db", "0").isdecimal():
            raise ValueError("db must be a number")
        user, _, password = (match["user"] or "").partition(":")
        return cls(
            hosts=tuple(map(_host_and_port, match["hosts"].split(","))),
            master=unquote(match["master"]),
            secure=match["scheme"] == "sentinels",
            login=_login(unquote(user), unquote(password)),
            db=int(query.get("db", "0")),
            sentinel_login=_login(query.get("sentinel_username", ""), query.get("sentinel_password", "")),
        )

    def sentinel_options(self) -> dict[str, Any]:
        """Return how to connect to a Sentinel: without retries, as the next one may answer."""
        timeouts = {"socket_timeout": SENTINEL_S, "socket_connect_timeout": SENTINEL_S}
        return {**timeouts, **self.sentinel_login, "ssl": self.secure, "retry": Retry(NoBackoff(), 0)}

    def sentinel(self) -> Sentinel:
        return Sentinel(self.hosts, sentinel_kwargs=self.sentinel_options())  # type: ignore[no-untyped-call]


class CeleryBroker(NamedTuple):
    """The URL of Celery's Redis, with the options of its transport and of TLS."""

    url: str
    options: dict[str, Any]
    tls: dict[str, Any] | None


def check_url(url: str) -> str:
    """Return the URL; raise ValueError if it starts with `sentinel` and is not complete."""
    if _by_sentinels(url):
        SentinelUrl.parse(url)
    return url


def redis_client(url: str, timeout_s: float, connect_timeout_s: float | None = None) -> "redis.Redis":
    """Return a blocking client, which connects when it is used and finds a new master by itself.

    Timeouts in the URL of a server (`?socket_timeout=3`) replace those of the arguments.
    A command during a failover raises redis.RedisError.
    """
    timeouts: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": connect_timeout_s or timeout_s}
    if not _by_sentinels(url):
        from_url: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        options = {"connection_class": ServerConnection, **timeouts, **from_url}
        if options["connection_class"] is SSLConnection:
            options["connection_class"] = SecureServerConnection
        return redis.Redis(connection_pool=redis.ConnectionPool(**options))
    parsed = SentinelUrl.parse(url)
    connection = SecureMasterConnection if parsed.secure else MasterConnection
    client: redis.Redis = parsed.sentinel().master_for(  # type: ignore[no-untyped-call]
        parsed.master, connection_class=connection, db=parsed.db, **parsed.login, **timeouts
    )
    return client


async def locate(url: str) -> dict[str, Any]:
    """Return the host, port, username, password and db for a connection; raises redis.RedisError if none is known."""
    if not _by_sentinels(url):
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        return options
    parsed = SentinelUrl.parse(url)
    host, port = await asyncio.to_thread(_sentinel(url).discover_master, parsed.master)
    return {"host": host, "port": port, "db": parsed.db, **parsed.login}


def celery_broker(url: str) -> CeleryBroker:
    """Return what Celery needs to know of a URL."""
    if not _by_sentinels(url):
        return CeleryBroker(url, {}, None)
    parsed = SentinelUrl.parse(url)
    user, password = (quote(parsed.login.get(part, ""), safe="") for part in ("username", "password"))
    login = f"{user}:{password}@" if parsed.login else ""
    urls = (f"sentinel://{login}{_bracketed(host)}:{port}/{parsed.db}" for host, port in parsed.hosts)
    options = {"master_name": parsed.master, "sentinel_kwargs": parsed.sentinel_options()}
    return CeleryBroker(";".join(urls), options, {"ssl_cert_reqs": ssl.CERT_REQUIRED} if parsed.secure else None)


@lru_cache(maxsize=8)
def _sentinel(url: str) -> Sentinel:
    """Return one client for all connections of a URL, as it asks first the Sentinel that answered last."""
    return SentinelUrl.parse(url).sentinel()


def _by_sentinels(url: str) -> bool:
    return url.startswith("sentinel")


def _host_and_port(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or SENTINEL_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise ValueError(_EXPECTED)
    return host, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _login(username: str, password: str) -> dict[str, str]:
    return {name: text for name, text in (("username", username), ("password", password)) if text}

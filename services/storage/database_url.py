"""The URL of a database, which may name several PostgreSQL servers, of which one is the primary."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, ExceptionContext, event, make_url

# A server that vanishes without closing its connections is noticed within about ten seconds.
TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
PRIMARY = {"target_session_attrs": "read-write"}

_SEVERAL = re.compile(r"(?P<start>postgresql[+\w]*://(?:[^@/]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<rest>[/?].*)?")


def database_url(text: str) -> URL:
    """Parse a URL, whose host may be a list as in libpq: `postgresql+psycopg://user@a:5432,b:5432/name`.

    Of several servers, connections go to the one that accepts writes, unless `target_session_attrs` says otherwise.
    """
    if match := _SEVERAL.fullmatch(text):
        url = make_url(match["start"] + (match["rest"] or ""))
        url = url.update_query_pairs([("host", _with_port(host)) for host in match["hosts"].split(",")])
    else:
        url = make_url(text)
    several = isinstance(url.query.get("host"), tuple) or "," in str(url.query.get("host", ""))
    return url.update_query_dict(PRIMARY | dict(url.query)) if several else url


def _with_port(host: str) -> str:
    return host if re.search(r":\d+$", host) else f"{host}:5432"


def connect_options(url: URL) -> dict[str, Any]:
    """Return the options of connections to PostgreSQL that the URL does not set itself."""
    options = {"connect_timeout": 3, "options": "-c statement_timeout=15000", **TCP}
    return {name: value for name, value in options.items() if name not in url.query}


def follow_primary(engine: Engine) -> None:
    """Let connections leave a server that became a standby, and try first the server that accepted the last one."""
    last: list[tuple[str, str]] = []

    @event.listens_for(engine, "do_connect")
    def order(_: Any, __: Any, ___: Any, options: dict[str, Any]) -> None:
        if last:
            options |= last_first(options, last[0])

    @event.listens_for(engine, "connect")
    def remember(connection: psycopg.Connection, _: Any) -> None:
        last[:] = [(connection.info.host, str(connection.info.port))]

    @event.listens_for(engine, "handle_error")
    def leave(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
            context.is_disconnect = True  # discards all connections of the pool


def last_first(options: Mapping[str, Any], last: tuple[str, str]) -> dict[str, str]:
    """Return `host` and `port` in another order: a server that is gone costs each connection its timeout."""
    hosts = str(options.get("host", "")).split(",")
    ports = str(options.get("port", "")).split(",")
    servers = list(zip(hosts, ports, strict=True)) if len(ports) == len(hosts) else []
    if last not in servers:
        return {}
    servers.sort(key=lambda server: server != last)
    return {"host": ",".join(host for host, _ in servers), "port": ",".join(port for _, port in servers)}

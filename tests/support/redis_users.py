"""A Redis with a user for each service, whose refusals are recorded."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from messaging.redis_users import REDIS_USERS, RedisUser, acl_file, password_hashes
from messaging.settings import BrokerSettings
from tests.support.servers import Server, redis_server

IGNORED = "client"  # clients tell their name and version, and go on if they may not


class RedisWithUsers:
    """A running Redis; `admin` may do everything."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._passwords = {user: secrets.token_hex(8) for user in REDIS_USERS}
        self.admin: Any = redis.Redis.from_url(server.url, decode_responses=True)  # untyped: sync and async alike
        major, minor, *_ = self.admin.info("server")["redis_version"].split(".")
        self.release = int(major), int(minor)
        self.lines = acl_file(password_hashes(self._passwords), self.release).splitlines()
        for line in self.lines:
            _, user, *rules = line.split()
            if user != "default":  # the admin here
                self.admin.execute_command("ACL", "SETUSER", user, *rules)

    def server(self, user: RedisUser) -> Server:
        """Return this server as a user sees it."""
        address = urlsplit(self._server.url)
        url = f"redis://{user}:{self._passwords[user]}@{address.hostname}:{address.port}/0"
        return Server(url, self._server.process)

    def url(self, user: RedisUser) -> str:
        return self.server(user).url

    def settings(self, user: RedisUser) -> BrokerSettings:
        return BrokerSettings.model_validate({"url": self.url(user)})

    def client(self, user: RedisUser) -> Any:
        return redis.Redis.from_url(self.url(user), decode_responses=True)

    def refusals(self) -> list[tuple[str, str, str]]:
        """Return the user, the reason (`command`, `key` or `channel`) and the object of each refusal, and forget it."""
        entries = [(entry["username"], entry["reason"], entry["object"]) for entry in self.admin.acl_log()]
        self.admin.acl_log_reset()
        return [entry for entry in entries if not entry[2].startswith(IGNORED)]


@contextmanager
def redis_with_users(folder: Path) -> Iterator[RedisWithUsers]:
    with redis_server(folder) as server:
        yield RedisWithUsers(server)

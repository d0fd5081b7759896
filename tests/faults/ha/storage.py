"""The object store: Ceph with three OSDs and two gateways, or, without a program for it, one S3 server."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.faults.process import RestartedProcess
from tests.support.servers import s3_environment

PROGRAM = "TIDEPOOL_CEPH"  # the path of a program with the commands start, kill, revive and stop
PORT = 7480


class Storage(Protocol):
    """A running store."""

    access_key: str
    secret_key: str
    ports: tuple[int, ...]
    """Those of its gateways on this machine's loopback."""
    daemons: tuple[str, ...]
    """What can be killed without the loss of an object."""

    def users(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Create users; return the access key and the secret key of each, {} if the store has no users."""

    def kill(self, daemon: str) -> None: ...

    def revive(self, daemon: str) -> None: ...

    def stop(self) -> None: ...


def start_storage(folder: Path) -> Storage:
    """Start Ceph if TIDEPOOL_CEPH names a program for it."""
    folder.mkdir()
    program = os.environ.get(PROGRAM, "")
    print(f"object store: {'Ceph, three OSDs and two gateways' if program else 'one server, not a cluster'}")
    return Ceph(program, folder / "ceph") if program else Folder(folder)


class Folder:
    """One server of rclone on a folder, of which nothing can be killed."""

    ports = (PORT,)
    daemons = ()

    def __init__(self, folder: Path) -> None:
        self.access_key, self.secret_key = secrets.token_hex(8), secrets.token_hex(16)
        (folder / "s3").mkdir()
        command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", str(folder / "s3")]
        environment = {**os.environ, **s3_environment(self.access_key, self.secret_key)}
        self._process = RestartedProcess("s3", [*command, "--addr", f"127.0.0.1:{PORT}"], environment, folder)

    def users(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        return {}

    def kill(self, daemon: str) -> None:
        raise ValueError(f"there is no {daemon}")

    def revive(self, daemon: str) -> None:
        raise ValueError(f"there is no {daemon}")

    def stop(self) -> None:
        self._process.stop()


class Ceph:
    """A cluster that replicates every object on three OSDs."""

    ports = (PORT, PORT + 1)
    daemons = ("osd.0", "osd.1", "osd.2", "rgw.0", "rgw.1")

    def __init__(self, program: str, folder: Path) -> None:
        self._environment = os.environ | {"CEPH_HOME": str(folder)}
        self._program = program
        keys = json.loads(self._do("start", "3", "2", str(PORT)).strip().splitlines()[-1])
        self.access_key, self.secret_key = keys["access_key"], keys["secret_key"]

    def users(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        made = {}
        for name in names:
            configuration = f"{self._environment['CEPH_HOME']}/ceph.conf"
            create = ["radosgw-admin", "-c", configuration, "user", "create", f"--uid={name}", f"--display-name={name}"]
            create += ["--max-buckets=-1"]  # 0 would be any number
            done = subprocess.run(create, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            keys = json.loads(done.stdout)["keys"][0]
            made[name] = keys["access_key"], keys["secret_key"]
        return made

    def kill(self, daemon: str) -> None:
        self._do("kill", daemon)

    def revive(self, daemon: str) -> None:
        self._do("revive", daemon)

    def stop(self) -> None:
        for daemon in ("rgw.0", "rgw.1"):  # which would wait for an OSD, and stay
            with suppress(subprocess.CalledProcessError):
                self.kill(daemon)
        self._do("stop")

    def _do(self, *arguments: str) -> str:
        with tempfile.TemporaryFile() as output:  # a pipe would stay open in the daemons
            subprocess.run([self._program, *arguments], env=self._environment, stdout=output, check=True)
            output.seek(0)
            return output.read().decode()

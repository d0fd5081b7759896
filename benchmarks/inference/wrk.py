"""Run wrk."""

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
    """A POST request to a server."""

    url: str
    body: Body


@dataclass(frozen=True)
class Measured:
    """One run: accepted requests per second and their latencies, and the failed and refused requests."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int = 0
    refused: int = 0


def drive(request: Request, connections: int, seconds: int, per_s: float | None = None) -> Measured:
    """Keep this many connections busy, each with one request at a time.

    With `per_s`, that many requests are due a second whether or not earlier ones were answered; one that is not sent,
    because all connections are busy, counts as failed.
    """
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
            env=os.environ | {"BODY": body.name, "HEADERS": headers, "RATE": "" if per_s is None else str(per_s)},
            capture_output=True,
            text=True,
            timeout=seconds + 3 * TIMEOUT_S,
            check=True,
        )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    summary = json.loads(line.removeprefix("RESULT "))
    return Measured(
        per_s=(summary["answers"] - summary["refused"]) / summary["seconds"],
        p50_ms=summary["p50_ms"],
        p99_ms=summary["p99_ms"],
        failed=summary["failed"],
        refused=summary["refused"],
    )

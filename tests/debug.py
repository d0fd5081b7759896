"""Run the next job of a pool in this process, so that a debugger stops in its handler: `python -m tests.debug trainer`.

With `--pdb`, pdb stops at the first line of the handler. Uses the embedded stack of TIDEPOOL_HOME (or `.tidepool`),
which must be up. Scale the pool to zero first, so that no replica takes the job: `tidepool scale trainer 0`. The lease
is renewed while a debugger holds the handler.
"""

import json
import multiprocessing
import os
import pdb
import runpy
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract.errors import TidepoolError
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from worker import attempt, replica

RENEW_S = 5.0


def main(pool: str, stop: bool) -> None:
    plan = json.loads((Path(os.environ.get("TIDEPOOL_HOME", ".tidepool")) / "run" / "plan.json").read_text())
    component = next(component for component in plan["components"] if component["role"] == pool)
    os.environ.update(component["environment"])
    handlers = handlers_of(f"services.{pool}.main")
    stores = Stores.from_environment()
    print(f"Waiting for a job of the kinds {', '.join(handlers)}", flush=True)
    while (claim := stores.leases.claim(handlers.keys(), f"debugger:{os.getpid()}")) is None:
        time.sleep(0.5)
    print(f"Running job {claim.job.id}", flush=True)
    ours, theirs = multiprocessing.Pipe()
    threading.Thread(target=keep_lease, args=[stores, claim, ours], daemon=True).start()
    handler = handlers[claim.job.kind]
    run = partial(pdb.runcall, handler) if stop else handler
    attempt.run_attempt(run, claim, pool, theirs, attempt.Origin("debug"))


def handlers_of(module: str) -> Mapping[str, Any]:
    """Return the handlers that a service's main module passes to `serve`, without serving."""
    recorded: dict[str, Any] = {}

    def record(_pool: str, handlers: Mapping[str, Any], **_: Any) -> None:
        recorded.update(handlers)

    replica.serve = record  # type: ignore[assignment]
    runpy.run_module(module, run_name="__main__")
    return recorded


def keep_lease(stores: Stores, claim: Claim, pipe: Connection) -> None:
    """Renew the lease and publish the progress, as a worker does; stop when the job was cancelled or lost."""
    renewed = 0.0
    with suppress(TidepoolError, EOFError):
        while True:
            progress = pipe.recv()
            if progress is not None or time.monotonic() > renewed + RENEW_S:
                stores.leases.renew(claim.lease, progress)
                renewed = time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1], stop="--pdb" in sys.argv)

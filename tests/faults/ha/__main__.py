"""`make chaos-ha MINUTES=10`: machines fail, and no accepted job is lost or published twice."""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults.ha.chaos import Plan, run
from tests.faults.ha.keys import own_keys, store
from tests.faults.ha.recovery import recovery_by_fault, table
from tests.faults.ha.storage import start_storage
from tests.faults.report import Report


def main(plan: Plan) -> bool:
    """Run, print the results, and return whether every guarantee held."""
    path = Path(tempfile.mkdtemp(prefix="tidepool-chaos-ha-")) / "history.jsonl"
    print(f"seed {plan.seed}; history in {path}", flush=True)
    history = run(plan, path)
    report = Report.of(history)
    seconds = max(event.ended for event in history)
    print(f"\n{seconds:.0f} s on three machines\n{report}\n{table(recovery_by_fault(history))}", flush=True)
    return not report.broken


def prove_keys() -> None:
    """Start the object store alone, and check that each service's key permits what the service does and no more."""
    with tempfile.TemporaryDirectory(prefix="tidepool-ha-keys-") as folder:
        storage = start_storage(Path(folder) / "storage")
        try:
            endpoint = f"http://127.0.0.1:{storage.ports[0]}"
            store(endpoint, (storage.access_key, storage.secret_key)).make_buckets()
            own_keys(storage, endpoint)
        finally:
            storage.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make chaos-ha")
    parser.add_argument("--minutes", type=float, default=10, help="but no shorter than one fault of each kind")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="a part of the names of the faults")
    parser.add_argument("--keys", action="store_true", help="only check the services' keys to the object store")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # with all that was started
    if arguments.keys:
        prove_keys()
        sys.exit()
    sys.exit(not main(Plan(arguments.minutes * 60, arguments.seed, arguments.only)))

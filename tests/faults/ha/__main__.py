"""`make chaos-ha MINUTES=10`: machines fail, and no accepted job is lost or published twice."""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults.ha.chaos import Plan, run
from tests.faults.ha.recovery import recovery_by_fault, table
from tests.faults.report import Report


def main(plan: Plan) -> bool:
    """Run, print the results, and return whether every guarantee held."""
    path = Path(tempfile.mkdtemp(prefix="tidepool-chaos-ha-")) / "history.jsonl"
    print(f"seed {plan.seed}; history in {path}", flush=True)
    history = run(plan, path)
    report = Report.of(history)
    print(f"\n{plan.seconds:.0f} s on three machines\n{report}\n{table(recovery_by_fault(history))}", flush=True)
    return not report.broken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make chaos-ha")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="a part of the names of the faults")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # with all that was started
    sys.exit(not main(Plan(arguments.minutes * 60, arguments.seed, arguments.only)))

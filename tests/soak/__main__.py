"""`make soak MINUTES=120`: mixed load and hostile senders on an embedded stack; is everything flat?"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak.deployment import Deployment, deployed
from tests.soak.insiders import Insiders
from tests.soak.lifecycle import Lifecycle
from tests.soak.members import Member, Neighbour
from tests.soak.plot import draw
from tests.soak.recorder import Recorder
from tests.soak.report import Report
from tests.soak.schedule import Schedule, Work
from tests.soak.strangers import Strangers
from tests.soak.tally import Tally

LIFECYCLE_S = 45.0  # between two data sets of a project
NEIGHBOUR_S = 0.5


def main() -> int:
    """Run the soak, print the report, and return 1 if something grew or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=1.0, help="factor for the load; 1 needs about one core")
    parser.add_argument("--folder", type=Path, default=Path("build/soak"), help="for the results; default build/soak")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tidepool-soak-") as home:
        print(f"starting a stack in {home}; results will be in {options.folder}", flush=True)
        tally = Tally()
        with deployed(Path(home)) as deployment:
            recorder = Recorder(deployment, tally)
            with loaded(deployment, tally, options.rate):
                recorder.begin()
                try:
                    time.sleep(60 * options.minutes)
                finally:
                    recorder.end()  # what clients do at the end is not measured
            restarts = recorder.restarts()
    report = Report.of(recorder.series, restarts, tally)
    report.save(options.folder, recorder.series)
    draw(recorder.series, options.folder / "soak.png", f"make soak MINUTES={options.minutes:g} --rate {options.rate:g}")
    print(report, flush=True)
    return 0 if report.passed else 1


@contextmanager
def loaded(deployment: Deployment, tally: Tally, rate: float) -> Iterator[None]:
    """Put load on the deployment during the block, then wait until all clients have ended."""
    clients: list[Member | Insiders] = []
    works: dict[str, Work] = {"stranger": Strangers(deployment, tally).work()}
    for project in deployment.projects:
        member, insider = Member(deployment, project, tally), Insiders(deployment, project, tally)
        neighbour = Neighbour(deployment, project, tally)
        clients += [member, insider, neighbour]
        works[f"{project.name} member"] = member.short_work()
        works[f"{project.name} insider"] = insider.work()
        works[f"{project.name} lifecycle"] = {"data set to deletion": (LIFECYCLE_S, Lifecycle(member).run)}
        works[f"{project.name} neighbour"] = {"classify": (NEIGHBOUR_S, neighbour.classify)}
    schedule = Schedule(works, rate, tally)
    schedule.begin()
    try:
        yield
    finally:
        schedule.end()
        for client in clients:
            client.close()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.dashboards`: a picture of each dashboard, filled by a stack under load.

Needs Prometheus (Debian's package `prometheus`), which reads the stack as in docs/observability.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.dashboards.draw import Prometheus, draw
from benchmarks.dashboards.load import WAITING, run
from deploy.observability.dashboards import FOLDER
from tests.e2e.running import started
from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images" / "dashboards"
CONFIGURATION = ROOT / "deploy" / "observability" / "embedded.yml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboards", description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURES, help="output folder")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    os.environ["TIDEPOOL_MAX_WAITING"] = str(WAITING)
    with tempfile.TemporaryDirectory(prefix="dashboards-") as name:
        folder = Path(name)
        with started(folder / "home", "inference=2") as stack, prometheus(folder, stack.home) as url:
            start = time.time()
            run(stack, folder, lambda what: print(f"{time.time() - start:4.0f} s  {what}", flush=True))
            time.sleep(10)
            read = Prometheus(url, start, time.time())
            for file in sorted(FOLDER.glob("*.json")):
                draw(json.loads(file.read_text()), read, output / f"{file.stem}.webp")
                print(f"wrote {output / file.stem}.webp")


@contextmanager
def prometheus(folder: Path, home: Path) -> Iterator[str]:
    """Run Prometheus with the configuration for embedded stacks, for this home; yields its URL."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise SystemExit("Prometheus is missing. Please run: sudo apt-get install prometheus")
    observed = folder / "observability"
    shutil.copytree(CONFIGURATION.parent, observed)
    targets = str(home / "run" / "prometheus-targets.json")
    text = CONFIGURATION.read_text().replace("../../.tidepool/run/prometheus-targets.json", targets)
    (observed / CONFIGURATION.name).write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    command = (
        binary,
        f"--config.file={observed / CONFIGURATION.name}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait()


def _until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{url}/-/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("Prometheus does not start")


if __name__ == "__main__":
    main()

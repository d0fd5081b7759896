"""From an upload to the first prediction, on an embedded stack with one replica of each pool; see `child`."""

import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.page import Line
from benchmarks.preprocess.stack import embedded
from benchmarks.training.child import main
from contract.kinds.train import TrainResult
from tidepool_client import Client

SCALES = {"preprocess": 1, "trainer": 1, "inference": 1}


def serve(client: Client, archive: Path, spec: dict[str, Any]) -> Line:
    """Upload, prepare, train and predict; return the seconds of each step and the accuracy of the model."""
    times = [time.perf_counter()]

    def lap() -> float:
        times.append(time.perf_counter())
        return times[-1] - times[-2]

    job = client.datasets.upload("data", archive)
    steps = {"upload": lap()}
    client.jobs.wait(job.id)
    steps["prepare"] = lap()
    job = client.jobs.wait(client.train(dataset="data", model="model", **spec).id)
    steps["train"] = lap()
    client.predict("model", _image(archive))
    steps["first prediction"] = lap()
    result = TrainResult.model_validate(job.result)
    metrics = {"val": result.metrics.val, "test": result.metrics.test}
    return {
        "seconds": times[-1] - times[0],
        "steps": steps,
        **{split: 100 * judged.accuracy for split, judged in metrics.items() if judged},
        "method": next((choice.value for choice in result.decisions if choice.what == "method"), "as requested"),
    }


def _image(archive: Path) -> bytes:
    """Return the first image of the test split."""
    with zipfile.ZipFile(archive) as opened:
        name = next(name for name in opened.namelist() if name.startswith("test/") and not name.endswith("/"))
        return opened.read(name)


def measure(request: Line) -> Line:
    """Run a stack for the steps of `serve`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, embedded(Path(folder), SCALES) as client:
        return serve(client, Path(request["archive"]), request["spec"])


if __name__ == "__main__":
    main(measure)

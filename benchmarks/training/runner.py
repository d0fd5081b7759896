"""Runs rows: prepares each data set once for each kind of image, then trains in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.inference.install import install, python_of
from benchmarks.page import Line
from benchmarks.training.datasets import DATA_SETS
from benchmarks.training.log import Log, mean
from benchmarks.training.peers import PACKAGES
from benchmarks.training.photos import MissingFile
from benchmarks.training.rows import Row
from services.trainer.settings import SPIN_COUNT

ROOT = Path(__file__).parents[2]
TRAINER = {"GOMP_SPINCOUNT": str(SPIN_COUNT)} | os.environ  # as services.trainer.main sets it
ROUNDS = 3  # of both loops, in a row that measures overhead


class RowFailed(Exception):
    """A measurement failed; its message is for the report."""


class Runner:
    """Measures rows; the files of data sets are in `work`."""

    def __init__(self, work: Path, data: Path, log: Log) -> None:
        self._work = work
        self._data = data
        self._log = log

    def run(self, row: Row, seed: int) -> Line:
        """Return the line of a row with a seed; a row that fails has an `error`."""
        line: Line = {"row": row.name, "seed": seed, "dataset": row.dataset, "way": row.way}
        line["at"] = time.strftime("%Y-%m-%d %H:%M")
        measures: dict[str, Callable[[Row, int], Line]] = {
            "train": self._train,
            "keras": self._keras,
            "overhead": self._overhead,
            "served": self._served,
        }
        started = time.perf_counter()
        try:
            return line | measures[row.measure](row, seed) | {"process_s": time.perf_counter() - started}
        except (RowFailed, MissingFile) as failure:
            return line | {"error": str(failure)}

    def forget(self, dataset: str) -> None:
        """Delete the files of a data set."""
        for path in self._work.glob(f"{dataset}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def prepared(self, row: Row) -> tuple[Path, dict[str, Any]]:
        """Return the folder of the prepared data set and what preparing it took; prepare it if it is not there."""
        kind = "tiny" if row.image else "auto"
        folder = self._work / f"{row.dataset}.{kind}"
        result = folder / "result.json"
        if not result.exists():
            print(f"  preparing {row.dataset}, {kind} images", flush=True)
            archive = DATA_SETS[row.dataset].write(self._work / f"{row.dataset}.zip", self._data)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            request = {"archive": str(archive), "image": row.image, "prepared": str(folder)}
            result.write_text(json.dumps(self._module("prepare", request)))
        return folder, json.loads(result.read_text())

    def _train(self, row: Row, seed: int) -> Line:
        folder, prepared = self.prepared(row)
        spec = row.spec | {"seed": seed}
        if row.follows is not None:
            seconds = mean(line["loop_s"] for line in self._log.lines(row.follows) if "loop_s" in line)
            if seconds is None:
                raise RowFailed(f"{row.follows} has no time to give as the budget")
            spec["budget"] = {"minutes": seconds / 60}
        result = self._module("train", {"prepared": str(folder), "spec": spec}, TRAINER)
        return {"prepared": prepared} | result | {"budget": spec.get("budget")}

    def _overhead(self, row: Row, seed: int) -> Line:
        """Train with both loops in turn, each in a process of its own with its usual environment."""
        folder, prepared = self.prepared(row)
        request = {"prepared": str(folder), "spec": row.spec | {"seed": seed}}
        seconds: dict[str, list[float]] = {"loop_s": [], "bare_s": []}
        for _ in range(ROUNDS):
            for loop, environment in (("loop_s", TRAINER), ("bare_s", os.environ)):
                result = self._module("bare", request | {"bare": loop == "bare_s"}, environment)
                seconds[loop].append(result["seconds"])
        return {"prepared": prepared} | seconds

    def _keras(self, row: Row, seed: int) -> Line:
        if not install("keras", PACKAGES["keras"]):
            raise RowFailed("Keras cannot be installed here; see benchmarks/.venvs/keras/install.log")
        folder, prepared = self.prepared(row)
        shards = json.loads((folder / "manifest.json").read_text())["shards"]

        def files(shard: dict[str, Any]) -> list[str]:
            return [str(folder / shard[kind]["bucket"] / shard[kind]["key"]) for kind in ("images", "labels")]

        splits = {split: [files(shard) for shard in shards[split]] for split in ("train", "test")}
        command = [str(python_of("keras")), str(Path(__file__).with_name("keras_example.py"))]
        result = self._process(command, splits | {"seed": seed, "epochs": row.spec["epochs"]}, os.environ)
        return {"prepared": prepared} | result

    def _served(self, row: Row, seed: int) -> Line:
        """Run a stack; `seed` only counts repetitions."""
        archive = DATA_SETS[row.dataset].write(self._work / f"{row.dataset}.zip", self._data)
        return self._module("served", {"archive": str(archive), "spec": row.spec | {"seed": seed}})

    def _module(self, name: str, request: dict[str, Any], environment: Mapping[str, str] = os.environ) -> Line:
        """Run a module of this package that `child` describes."""
        return self._process([sys.executable, "-m", f"{__package__}.{name}"], request, environment)

    def _process(self, command: Sequence[str], request: dict[str, Any], environment: Mapping[str, str]) -> Line:
        """Run a process with a request and return its result; raises RowFailed."""
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            request_file, result_file = Path(folder) / "request.json", Path(folder) / "result.json"
            request_file.write_text(json.dumps(request))
            files = (str(request_file), str(result_file))
            process = subprocess.run([*command, *files], cwd=ROOT, env=environment, check=False)
            if process.returncode:
                raise RowFailed(f"its process exited with status {process.returncode}; its output says why")
            result: Line = json.loads(result_file.read_text())
        return result

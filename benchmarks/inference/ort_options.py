"""Measure ONNX Runtime's session options: `python -m benchmarks.inference.ort_options`."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.inference.subjects import ARCHITECTURES, Subject, export_subjects

BATCHES = (1, 16)
CPU = "CPUExecutionProvider"

Run = Callable[[NDArray[np.float32]], object]


@dataclass(frozen=True)
class Options:
    """One row: ONNX Runtime's defaults except these options; `callers` threads share the session."""

    name: str
    threads: int = 1
    callers: int = 1
    arena: bool = True
    bound: bool = False
    config: dict[str, str] = field(default_factory=lambda: {"session.intra_op.allow_spinning": "0"})

    def session(self, file: Path) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.enable_cpu_mem_arena = self.arena
        for name, value in self.config.items():
            options.add_session_config_entry(name, value)
        return ort.InferenceSession(file, options, [CPU])


ROWS = (
    Options("1 thread"),
    Options("2 threads", threads=2),
    Options("2 threads, spinning", threads=2, config={}),
    Options("1 thread, called by 2", callers=2),
    Options("no arena", arena=False),
    Options("one arena for all sessions", config={"session.use_env_allocators": "1"}),
    Options("denormals are zero", config={"session.set_denormal_as_zero": "1"}),
    Options("bound tensors", bound=True),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print images per second, the median of interleaved rounds, for each row, model and batch size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference.ort_options", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=ARCHITECTURES, default=[*ARCHITECTURES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="seconds per measurement")
    options = parser.parse_args(arguments)
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"arena_extend_strategy": 1}))
    with tempfile.TemporaryDirectory() as folder:
        subjects = export_subjects(options.models, Path(folder))
        columns = [_column(subject, batch, options) for subject in subjects for batch in BATCHES]
    heads = [f"{subject.name}, batch {batch}" for subject in subjects for batch in BATCHES]
    print(f"| ONNX Runtime {ort.__version__} | {' | '.join(heads)} |")
    print(f"|---|{'---:|' * len(heads)}")
    for row, measured in zip(ROWS, zip(*columns, strict=True), strict=True):
        print(f"| {row.name} | {' | '.join(f'{rate:,.0f}' for rate in measured)} |")


def _column(subject: Subject, batch: int, options: argparse.Namespace) -> list[float]:
    images = np.random.default_rng(0).normal(size=(batch, 3, subject.side, subject.side)).astype(np.float32)
    runs = [_run(row, row.session(subject.file)) for row in ROWS]
    rounds = [
        [_per_second(run, images, row.callers, options.seconds) for row, run in zip(ROWS, runs, strict=True)]
        for _ in range(options.rounds)
    ]
    return [statistics.median(row) for row in zip(*rounds, strict=True)]


def _run(row: Options, session: ort.InferenceSession) -> Run:
    (node,) = session.get_inputs()
    (output,) = session.get_outputs()

    def bound(images: NDArray[np.float32]) -> object:
        binding = session.io_binding()
        binding.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(images))
        binding.bind_output(output.name)
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()

    return bound if row.bound else lambda images: session.run(None, {node.name: images})


def _per_second(run: Run, images: NDArray[np.float32], callers: int, seconds: float) -> float:
    def count(_: int) -> int:
        runs = 0
        while time.perf_counter() < end:
            run(images)
            runs += 1
        return runs

    run(images)
    with ThreadPoolExecutor(callers) as pool:
        started = time.perf_counter()
        end = started + seconds
        runs = sum(pool.map(count, range(callers)))
        return runs * len(images) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

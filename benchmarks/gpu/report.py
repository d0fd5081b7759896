"""Write gpu.json and gpu.md: what was measured, and in sentences what it means."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.card import Card
from benchmarks.gpu.plan import Result
from benchmarks.page import MISSING, ran_on_list, table

NO_GPU = "no GPU here: NVML finds no NVIDIA driver with a card, so nothing was measured."
BUSY_TARGET, BUSY_CONNECTIONS = 0.90, 128
GIB = 2**30

HOW = """\
Engine: one process, one batch after the other (a closed loop with a concurrency of 1). `tidepool` is the engine of a
replica: uint8 images of the host, normalized, copied to the card, run, and logits back. `ort` is ONNX Runtime alone
with normalized float32 tensors in host memory; `ort, in GPU memory` has tensors and logits on the card, without copies.
Served: an embedded stack with two replicas on the card, JPEGs over HTTP, a closed loop with as many requests in flight
as connections. Both are measured as Triton's perf_analyzer does: a fixed concurrency, images a second, p50 and p99 of
the latency; the engine's numbers are of three windows in a row that differ by at most 10 %, or marked with ~.
"""


def write(card: Card | None, results: Sequence[Result], folder: Path, *, rehearsal: bool = False) -> None:
    """Write both files; without a card they say so."""
    values = {result.step: result.value for result in results if result.value is not None}
    document = {
        "gpu": None if card is None else asdict(card),
        "rehearsal": rehearsal,
        "conclusions": list(conclusions(values)),
        "steps": [asdict(result) for result in results],
    }
    (folder / "gpu.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "gpu.md").write_text("\n".join(page(card, results, values, rehearsal)))


def page(
    card: Card | None, results: Sequence[Result], values: Mapping[str, dict[str, Any]], rehearsal: bool
) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from ("# GPU check", "")
    if rehearsal:
        yield from ("**A rehearsal with small models on the processor: the numbers mean nothing.**", "")
    elif card is None:
        yield from (NO_GPU, "")
        return
    if card is not None:
        memory = f"{card.memory_bytes / GIB:.0f} GiB"
        yield from (f"{card.name}, {memory}, driver {card.driver}; {card.count} in this machine.", "")
    yield from (*(f"* {sentence}" for sentence in conclusions(values)), "")
    for name, value in values.items():
        if name.endswith("engine") or name == "tensorrt":
            yield from (f"## {name}", "", *_engine(value))
        elif name.endswith("served"):
            yield from (f"## {name}, {value['precision']}", "", *_served(value))
    if "variants" in values:
        yield from ("## Variants of the trained model", "", *_variants(values["variants"]))
    yield from ("## Steps", "", *_steps(results), "## How", "", HOW)
    if "hardware" in values:
        yield from ("## Ran on", "", *ran_on_list(_ran_on(values["hardware"])))


def conclusions(values: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each comparison that was measured."""
    if hardware := values.get("hardware"):
        tensorrt = "there" if hardware["tensorrt"] else "not there"
        yield f"Models run on {hardware['provider']}; TensorRT is {tensorrt}; PyTorch uses {hardware['torch_device']}."
    for name, value in values.items():
        if name.endswith("engine") and value["rows"]:
            yield from _ratios(value)
        if name.endswith("served"):
            yield from _busy(value)
    if training := values.get("training"):
        yield _training(training)


def _ratios(value: Mapping[str, Any]) -> Iterator[str]:
    for precision in dict.fromkeys(row["precision"] for row in value["rows"]):
        best = {
            way: max(row["per_s"] for row in value["rows"] if (row["way"], row["precision"]) == (way, precision))
            for way in dict.fromkeys(row["way"] for row in value["rows"] if row["precision"] == precision)
        }
        if {"tidepool", "ort"} <= best.keys():
            ours = best["tidepool"]
            others = ", ".join(f"{ours / rate:.2f} × {way}" for way, rate in best.items() if way != "tidepool")
            yield f"{value['model']}, {precision}: {ours:,.0f} images/s at the best batch size, {others}."


def _busy(value: Mapping[str, Any]) -> Iterator[str]:
    for window in value["windows"]:
        if window["connections"] == BUSY_CONNECTIONS:
            rate = f"{value['model']} served to {BUSY_CONNECTIONS} connections: {window['per_s']:,.0f} images/s"
            if window.get("busy") is None:
                yield f"{rate}; NVML does not tell how busy the GPU is."
            else:
                met = "reached" if window["busy"] >= BUSY_TARGET else "missed"
                yield f"{rate}, GPU busy {window['busy']:.0%}: the target of {BUSY_TARGET:.0%} is {met}."


def _training(value: Mapping[str, Any]) -> str:
    rate = f"{value['architecture']} on {value['device']}: {value['images_per_s']:,.0f} training images/s"
    if value["data"] == "generated":
        return f"{rate}. The data were generated, because --data names no CIFAR-10; the accuracy means nothing."
    done = f"{value['accuracy']:.1%} of the test images right after {value['seconds']:.0f} s"
    if value["reached_s"] is None:
        return f"{rate}; {value['target']:.0%} was not reached: {done}."
    return f"{rate}; {value['target']:.0%} was reached after {value['reached_s']:.0f} s, {done}."


def _engine(value: Mapping[str, Any]) -> Iterator[str]:
    if "skipped" in value:
        yield from (f"Not measured: {value['skipped']}.", "")
        return
    columns = ("precision", "way", ">batch", ">images/s", ">p50 ms", ">p99 ms")
    yield from table(columns, ((row["precision"], row["way"], str(row["batch"]), *_load(row)) for row in value["rows"]))
    if not value["complete"]:
        yield from ("The time ended before every batch size was measured.", "")


def _served(value: Mapping[str, Any]) -> Iterator[str]:
    columns = (">connections", ">images/s", ">p50 ms", ">p99 ms", ">GPU busy", ">GPU memory")
    rows = (
        (str(w["connections"]), *_load(w), _percent(w.get("busy")), _gib(w.get("peak_bytes"))) for w in value["windows"]
    )
    yield from table(columns, rows)
    yield from (f"Load by {value['generator']}.", "")


def _variants(value: Mapping[str, Any]) -> Iterator[str]:
    columns = ("variant", ">images/s", ">accuracy", ">on images")
    rows = (
        (row["variant"], f"{row['images_per_s']:,.0f}", f"{row['accuracy']:.1%}", f"{row['images']:,}")
        for row in value["rows"]
    )
    yield from table(columns, rows)
    yield from (f"* {name} was not made: {reason}" for name, reason in value["failures"].items())
    yield ""


def _steps(results: Sequence[Result]) -> Iterator[str]:
    rows = ((r.step, r.error or "done", f"{r.seconds:.0f}", _percent(r.busy), _gib(r.peak_bytes)) for r in results)
    yield from table(("step", "result", ">s", ">GPU busy", ">GPU memory at most"), rows)


def _ran_on(value: Mapping[str, Any]) -> dict[str, str]:
    versions = {"ONNX Runtime": value["onnxruntime"], "PyTorch": f"{value['torch']}, CUDA {value['torch_cuda']}"}
    return value["machine"] | versions | {"providers": ", ".join(value["providers"])}


def _load(row: Mapping[str, Any]) -> tuple[str, str, str]:
    mark = "" if row["stable"] else "~"
    return f"{mark}{row['per_s']:,.0f}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}"


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{share:.0%}"


def _gib(count: int | None) -> str:
    return MISSING if count is None else f"{count / GIB:.1f} GiB"

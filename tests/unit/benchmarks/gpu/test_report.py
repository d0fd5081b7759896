"""What the GPU check writes and says"""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import __main__ as check
from benchmarks.gpu.card import Card
from benchmarks.gpu.plan import Result
from benchmarks.gpu.report import conclusions, write
from tests.support.nvml import Nvml

CARD = Card("NVIDIA H100", "570.1", 80 << 30, 1)
LOAD = {"p50_ms": 1.5, "p99_ms": 2.5, "requests": 1000, "stable": True}
HARDWARE = {
    "machine": {"CPU": "a CPU"},
    "onnxruntime": "1.32.0",
    "providers": ["CUDAExecutionProvider"],
    "provider": "CUDAExecutionProvider",
    "tensorrt": False,
    "torch": "2.13.0",
    "torch_cuda": "12.8",
    "torch_device": "NVIDIA H100",
}


def row(way: str, batch: int, per_s: float, **fields: Any) -> dict[str, Any]:
    return {"precision": "fp16", "way": way, "batch": batch, "per_s": per_s, **LOAD, **fields}


ENGINE = {
    "model": "resnet18",
    "complete": False,
    "rows": [row("tidepool", 1, 900), row("tidepool", 64, 9000), row("ort", 64, 10_000, stable=False)],
}


def served(busy: float | None) -> dict[str, Any]:
    window = {"connections": 128, "per_s": 5000.0, "busy": busy, "peak_bytes": 3 << 30, **LOAD}
    return {"model": "resnet18", "precision": "fp16", "generator": "wrk", "windows": [window]}


def training(**changes: Any) -> dict[str, Any]:
    values = {"data": "CIFAR-10", "device": "cuda:0", "architecture": "resnet18", "target": 0.94}
    return values | {"reached_s": 41.2, "seconds": 60.0, "accuracy": 0.951, "images_per_s": 25_000.0} | changes


def sentences(**values: dict[str, Any]) -> str:
    return "\n".join(conclusions({name.replace("_", " "): value for name, value in values.items()}))


def test_the_report_has_tables_comparisons_and_what_failed(tmp_path: Path) -> None:
    variants = {
        "rows": [{"variant": "int8", "images_per_s": 30_000.0, "accuracy": 0.949, "images": 10_000}],
        "failures": {"fp16": "no"},
    }
    results = [
        Result("hardware", 5.0, HARDWARE),
        Result("resnet18 engine", 30.0, ENGINE, busy=0.9, peak_bytes=4 << 30),
        Result("resnet18 served", 60.0, served(0.93)),
        Result("training", 70.0, training()),
        Result("variants", 20.0, variants),
        Result("tensorrt", 0.0, error="no time was left of the 440 s"),
    ]

    write(CARD, results, tmp_path)

    text = (tmp_path / "gpu.md").read_text()
    assert "NVIDIA H100, 80 GiB, driver 570.1" in text
    assert "| fp16 | ort | 64 | ~10,000 | 1.50 | 2.50 |" in text
    assert "| 128 | 5,000 | 1.50 | 2.50 | 93% | 3.0 GiB |" in text
    assert "| int8 | 30,000 | 94.9% | 10,000 |" in text
    assert "* fp16 was not made: no" in text
    assert "| tensorrt | no time was left of the 440 s | 0 | – | – |" in text
    assert "The time ended before every batch size was measured." in text
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["gpu"]["name"] == "NVIDIA H100"
    assert len(document["steps"]) == 6
    assert "resnet18, fp16: 9,000 images/s at the best batch size, 0.90 × ort." in document["conclusions"]


@pytest.mark.parametrize(
    ("busy", "text"), [(0.93, "90% is reached"), (0.5, "90% is missed"), (None, "NVML does not tell")]
)
def test_the_busy_share_is_compared_with_its_target(busy: float | None, text: str) -> None:
    assert text in sentences(resnet18_served=served(busy))


def test_training_says_when_it_has_reached_the_target_or_why_not() -> None:
    assert "94% was reached after 41 s" in sentences(training=training())
    assert "94% was not reached: 93.0%" in sentences(training=training(reached_s=None, accuracy=0.93))
    generated = sentences(training=training(data="generated"))
    assert "25,000 training images/s" in generated
    assert "94%" not in generated


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--require"], 3)])
def test_without_a_card_the_check_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    status: int,
) -> None:
    monkeypatch.setattr(check, "pynvml", Nvml(driver=False))

    assert check.main(["--out", str(tmp_path), *options]) == status

    assert "no GPU here" in capsys.readouterr().out
    assert "no GPU here" in (tmp_path / "gpu.md").read_text()
    assert json.loads((tmp_path / "gpu.json").read_text())["gpu"] is None


def test_with_a_card_every_step_is_in_the_report_and_a_failure_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [Result("hardware", 1.0, HARDWARE), Result("models", 2.0, error="exit status 1: no room")]
    monkeypatch.setattr(check, "pynvml", Nvml())
    monkeypatch.setattr(check, "run_all", lambda *_: iter(outcomes))

    assert check.main(["--out", str(tmp_path)]) == 1

    assert "Failed: models." in capsys.readouterr().out
    assert "exit status 1: no room" in (tmp_path / "gpu.md").read_text()

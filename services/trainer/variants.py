"""Variants of a trained model: make them, measure them, and choose the one that serves."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.choices import Choice
from contract.tracing import traced
from contract.variants import Variant, VariantName
from services.trainer.data import Indices, ShardedImages, TrainingData
from services.trainer.variant_choice import FEW, CheckedImages, Measured, choose

COMMAND = "services.inference.quantization.command"
TIMEOUT_S = 900  # takes seconds; many minutes only on an overloaded machine
CALIBRATION = (64, 256)  # training images, fewer of large ones
CALIBRATION_VALUES = 2**23
CHECKED = 10_000
CHECKED_VALUES = 2**27
WITH_TRAINING = 400  # images to check in all, if there are few validation images

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variants:
    """The variants of one version, the one that serves, and why."""

    variants: tuple[Variant, ...] = ()
    serving: VariantName = "fp32"
    decisions: tuple[Choice, ...] = ()


@traced("variants")
def make_variants(
    exported: Path,
    artifact: ObjectRef,
    parity: float | None,
    data: TrainingData,
    folder: Path,
    put: Callable[[str, Path], ObjectRef],
    logits: NDArray[np.float32] | None = None,
) -> Variants:
    """Make fp16 and int8 of the exported fp32 model, and store them by `put(name, file)`.

    `artifact` and `parity` are those of fp32. A variant that cannot be made is left out, with a line in the log; if
    nothing can be measured, the result is empty and fp32 serves. int8 is calibrated on training images. `logits`, those
    of fp32 on the validation split if they are known, save their computation.
    """
    calibration = _evenly(data.train.labels, _limit(data, *CALIBRATION, CALIBRATION_VALUES))
    np.save(folder / "calibration.npy", data.train.take(calibration)[0].numpy())
    checked, known = _save_checked(data, calibration, folder, logits)
    report = _run(exported, folder, known)
    if report is None:
        return Variants()
    for name, reason in report["failures"].items():
        log.warning("the variant %s is left out: %s", name, reason)
    measured = {name: _measured(name, speed, checked, folder) for name, speed in report["images_per_second"].items()}
    serving, because = choose(measured, checked, report["notes"].get("int8"))
    files = {"fp32": artifact} | {
        name: put(f"{name}.onnx", folder / f"{name}.onnx") for name in measured if name != "fp32"
    }
    count = len(measured["fp32"].right)
    variants = tuple(_variant(name, files[name], measured[name], checked, count, parity) for name in measured)
    return Variants(variants, serving, (Choice(what="serving", value=serving, because=because),))


def _run(exported: Path, folder: Path, logits: Path | None) -> dict[str, Any] | None:
    """Return the report of the command that makes the variants, or None, with a line in the log, if it fails."""
    files = (exported, folder / "calibration.npy", folder / "check.npy", folder)
    command = [sys.executable, "-m", COMMAND, *map(str, files), *(["--logits", str(logits)] if logits else [])]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        log.warning("making variants took more than %d s; the model has only fp32", TIMEOUT_S)
        return None
    if process.returncode != 0:
        log.warning("%s exited with status %d: %s", COMMAND, process.returncode, process.stderr.strip())
        return None
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def _measured(name: str, speed: float, checked: CheckedImages, folder: Path) -> Measured:
    logits, reference = (np.load(folder / f"{variant}.logits.npy") for variant in (name, "fp32"))
    count = len(logits)
    classes = logits.argmax(1)
    return Measured(
        speed=speed,
        right=classes == checked.labels[:count],
        agrees=classes == reference[:count].argmax(1),
        difference=float(np.abs(logits - reference[:count]).max()),
    )


def _variant(
    name: VariantName, artifact: ObjectRef, measured: Measured, checked: CheckedImages, count: int, parity: float | None
) -> Variant:
    """Return the description of a variant; its accuracy is known if it ran on the same `count` images as fp32."""
    validation = checked.validation[:count]
    return Variant(
        name=name,
        artifact=artifact,
        size=artifact.size,
        accuracy=float(measured.right[validation].mean())
        if validation.any() and len(measured.right) == count
        else None,
        agreement=float(measured.agrees.mean()),
        images_per_second=round(measured.speed, 1),
        parity_max_abs_diff=parity if name == "fp32" else measured.difference,
    )


def _save_checked(
    data: TrainingData, calibration: Indices, folder: Path, logits: NDArray[np.float32] | None
) -> tuple[CheckedImages, Path | None]:
    """Save a random sample of the validation images, and of other training images if there are few.

    Also returns the file of their fp32 logits, if all of them are known.
    """
    random = np.random.default_rng(0)
    most = _limit(data, FEW, CHECKED, CHECKED_VALUES)
    validation = random.permutation(len(data.val))[:most]
    train: Indices = np.empty(0, np.int64)
    if len(validation) < FEW:
        others = np.setdiff1d(np.arange(len(data.train)), calibration)
        # A training split that is used up by the calibration is checked on the same images.
        train = random.permutation(others if len(others) else calibration)[: WITH_TRAINING - len(validation)]
    images, labels = _take(data.val, validation, data.train, train)
    order = random.permutation(len(labels))  # variants that are slow are checked on the first images
    np.save(folder / "check.npy", images[order])
    checked = CheckedImages(labels[order], (np.arange(len(labels)) < len(validation))[order])
    if logits is None or len(train):
        return checked, None
    np.save(folder / "known.npy", logits[validation[order]])
    return checked, folder / "known.npy"


def _take(
    val: ShardedImages, val_indices: Indices, train: ShardedImages, train_indices: Indices
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pairs = [images.take(indices) for images, indices in ((val, val_indices), (train, train_indices)) if len(indices)]
    return np.concatenate([images.numpy() for images, _ in pairs]), np.concatenate([labels for _, labels in pairs])


def _limit(data: TrainingData, least: int, most: int, values: int) -> int:
    """Return how many images of the data's shape have `values` values, within the bounds."""
    return max(least, min(most, values // int(np.prod(data.shape))))


def _evenly(labels: NDArray[np.int64], count: int) -> Indices:
    """Return the indices of up to `count` random images, as many of each class as there are."""
    shuffled = np.random.default_rng(0).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.unique(labels, return_counts=True)[1]
    turns = np.concatenate([np.arange(size) for size in sizes])  # of each image in `order`, within its class
    return np.sort(order[np.argsort(turns, kind="stable")[:count]])

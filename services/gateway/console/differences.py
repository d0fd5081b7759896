"""What differs between versions of models, as rows of a table."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from contract.evaluation import Metrics
from contract.training import ModelManifest
from services.gateway.console.formats import NONE, number, percent
from services.storage.screens.compare import Compared


class Row(NamedTuple):
    """A property and its value in each version; `best` are the versions with the best one, if one is better."""

    name: str
    values: tuple[str, ...]
    best: tuple[bool, ...]


class Figure(NamedTuple):
    """A number that versions are compared by."""

    name: str
    read: Callable[[ModelManifest], float | None]
    write: Callable[[float | None], str]
    most: bool | None = True  # whether more is better, None if neither


def metrics_of(manifest: ModelManifest) -> Metrics | None:
    """Return the metrics on the test split, or else on the validation split."""
    return (manifest.metrics.test or manifest.metrics.val) if manifest.metrics is not None else None


def _metric(field: str) -> Callable[[ModelManifest], float | None]:
    def read(manifest: ModelManifest) -> float | None:
        value: float | None = getattr(metrics_of(manifest), field, None)
        return value

    return read


def _speed(manifest: ModelManifest) -> float | None:
    return next((file.images_per_second for file in manifest.variants if file.name == manifest.serving), None)


FIGURES = (
    Figure("Accuracy", _metric("accuracy"), percent),
    Figure("Macro-F1", _metric("macro_f1"), lambda value: number(value, 3)),
    Figure("Loss", _metric("loss"), lambda value: number(value, 3), most=False),
    Figure("Calibration error", _metric("expected_calibration_error"), lambda value: number(value, 3), most=False),
    Figure("Images a second", _speed, number),
    Figure("Weights", lambda manifest: manifest.parameters, number, most=None),
)


def figures(versions: Sequence[Compared]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the numbers in which the versions differ, and the names of those that are the same in all."""
    rows, same = list[Row](), list[str]()
    for figure in FIGURES:
        values = [figure.read(one.manifest) for one in versions]
        known = [value for value in values if value is not None]
        if not known:
            continue
        if len(versions) > 1 and len(set(values)) == 1:
            same.append(figure.name)
            continue
        best = None if figure.most is None or len(set(known)) < 2 else (max if figure.most else min)(known)
        marks = tuple(value is not None and value == best for value in values)
        rows.append(Row(figure.name, tuple(map(figure.write, values)), marks))
    return tuple(rows), tuple(same)


def differences(versions: Sequence[Compared]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the settings in which the versions differ, and the names of those that are the same in all."""
    settings = [_settings(one.manifest) for one in versions]
    names = dict.fromkeys(name for one in settings for name in one)
    different, same = [], []
    for name in names:
        values = [one.get(name) for one in settings]
        if len(versions) > 1 and all(value == values[0] for value in values):
            same.append(name)
        else:
            different.append(Row(name, tuple(map(_shown, values)), (False,) * len(values)))
    return tuple(different), tuple(same)


def _settings(manifest: ModelManifest) -> dict[str, Any]:
    """Return how a version was made, by names for people."""
    settings: dict[str, Any] = {
        "Trained on": manifest.dataset,
        "Classes": len(manifest.labels) or None,
        "Image": str(manifest.preprocessing.image) if manifest.preprocessing is not None else None,
        "Started from": manifest.lineage.parent if manifest.lineage is not None else None,
        "Serving file": manifest.serving,
        "Best epoch": manifest.best_epoch,
        "Device": manifest.device,
    }
    if manifest.lineage is not None:
        skipped = {"dataset", "model", "init_from"}
        spec = manifest.lineage.spec
        settings |= {name.replace("_", " ").capitalize(): spec[name] for name in spec if name not in skipped}
        settings |= {"Code": manifest.lineage.code_version, "Libraries": manifest.lineage.libraries}
    return settings


def _shown(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

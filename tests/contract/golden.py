"""The golden files: the JSON that every release writes and reads.

A golden that changes breaks stored rows and other people's clients. If that is intended, run
`python -m tests.contract.golden` and commit the difference.
"""

import importlib
import json
import pkgutil
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import contract
from contract.base import Frozen
from contract.division import Outcome
from contract.errors import TidepoolError
from contract.jobs import JobKind
from contract.kinds.kind import JobSpec, KindRequest
from tests.examples import EXAMPLES

FOLDER = Path(__file__).with_name("golden")

BASES = {Frozen, JobSpec, KindRequest, Outcome}  # they have no values of their own

Base = TypeVar("Base")


def public(base: type[Base]) -> list[type[Base]]:
    """The public subclasses of `base` in the contract, also indirect ones, by name."""
    for module in pkgutil.walk_packages(contract.__path__, "contract."):
        importlib.import_module(module.name)
    classes = [base]
    for kind in classes:
        classes += [child for child in kind.__subclasses__() if child not in classes]
    ours = [kind for kind in classes if kind.__module__.startswith("contract.") and kind.__name__[0] != "_"]
    return sorted(set(ours) - BASES, key=lambda kind: kind.__name__)


def error_tree() -> dict[str, Any]:
    """By code, the properties that clients rely on."""
    return {
        kind.code: {"class": kind.__name__, "status": kind.status, "retryable": kind.retryable}
        for kind in public(TidepoolError)
    }


def enumerations() -> dict[str, Any]:
    """By enumeration, the values in rows and messages."""
    tables = {kind.__name__: [str(word) for word in kind] for kind in public(StrEnum)}
    return dict(sorted((tables | {JobKind.__name__: [str(kind) for kind in JobKind]}).items()))


def goldens() -> dict[str, str]:
    """The text of every golden file, by name."""
    values = {type(example).__name__: example.model_dump_json(indent=2) for example in EXAMPLES}
    tables = {"errors": error_tree(), "enumerations": enumerations()}
    texts = values | {name: json.dumps(table, indent=2) for name, table in tables.items()}
    return {f"{name}.json": text + "\n" for name, text in texts.items()}


if __name__ == "__main__":
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for name, text in goldens().items():
        (FOLDER / name).write_text(text)

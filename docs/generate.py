"""Write the generated parts of pages in docs/: `python docs/generate.py`, or `make docs`.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the rest of a page is written by hand.
`tests/unit/docs/test_generated.py` fails if a part is stale.
"""

import enum
import http
import importlib
import inspect
import re
import tempfile
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from contract.errors import Interrupted, TidepoolError
from tidepool.cli.app import app
from tidepool.cli.root import PANELS

ROOT = Path(__file__).parents[1]
PACKAGES = ("contract", "media", "messaging", "scaling", "services", "worker")
PROCESSES = {
    "gateway": ["services.gateway.main"],
    "storage": ["services.storage.sweep.main"],
    "preprocess": ["services.preprocess.main"],
    "trainer": [  # it runs the last two as processes
        "services.trainer.main",
        "services.inference.evaluate",
        "services.inference.quantization.command",
    ],
    "inference": ["services.inference.main"],
    "autoscaler": ["services.autoscaler.main"],
}
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}
MEANINGS = {
    "internal": "a defect of Tidepool; the gateway's log has it under the `request_id`",
    "refused": "the request is wrong; `detail` says what to change",
    "malformed": "the request cannot be parsed",
    "unauthenticated": "no API key, or an unknown one",
    "forbidden": "the API key lacks the scope",
    "not_found": "no such dataset, model, job, upload, key or pool",
    "request_timeout": "the headers or the body did not arrive in time",
    "conflict": "the state of the object does not allow it, or an `Idempotency-Key` is in use",
    "too_large": "the body or the file exceeds a limit",
    "unsupported_media": "the `Content-Type` is not accepted",
    "too_many_requests": "a limit on what one sender may do at once is reached",
    "quota_exceeded": "a quota of the project is used up; `quota` names it ([Quotas](#quotas))",
    "headers_too_large": "the headers have too many bytes, or there are too many",
    "invalid": "well-formed, but wrong; `errors` names each field",
    "bad_archive": "the archive is not a zip that is accepted",
    "bad_dataset": "the archive holds no usable dataset",
    "bad_image": "the bytes are not one image",
    "bad_model": "a layer list, an ONNX graph or a backbone that cannot work",
    "unavailable": "an outage that heals without help",
    "database_unavailable": "the database does not answer",
    "broker_unavailable": "Redis does not answer, or no replica could take the prediction",
    "objects_unavailable": "the object store does not answer",
    "corrupt": "stored bytes do not match their size or SHA-256",
    "overloaded": "a limit on waiting work is reached",
    "deadline_exceeded": "the prediction's deadline passed",
    "job_failed": "only in a job's `error`: the attempt failed for an internal reason",
    "worker_lost": "only in a job's `error`: the process that ran it is gone",
}
ALSO = {  # codes that do not come from the error tree
    "no_such_path": (404, "unknown path"),
    "method_not_allowed": (405, "the header `Allow` names the allowed methods"),
}


UNITS = {  # by the end of a metric's name, without `_total`
    "timestamp_seconds": "Unix time in seconds",
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "share, 0 to 1",
    "nats": "nats",
    "info": "1",
    "up": "0 or 1",
    "alarm": "1",
    "failures": "runs",
    **{noun: noun for noun in ("replicas", "jobs", "requests", "models", "connections")},
}


class MetricOfProcesses(typing.NamedTuple):
    """One Prometheus metric, as the code declares it, and the processes that have it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    processes: tuple[str, ...]

    @property
    def unit(self) -> str | None:
        """The unit by the end of the name; that of a counter is what it counts. None if there is none."""
        base = self.name.removesuffix("_total")
        unit = next((unit for end, unit in UNITS.items() if base.endswith(f"_{end}")), None)
        return unit or ("count" if self.name.endswith("_total") else None)


class Setting(typing.NamedTuple):
    """One environment variable, as one settings class declares it."""

    name: str
    default: str
    value: str
    description: str
    owner: type[BaseSettings]
    readers: tuple[str, ...]


def settings() -> list[Setting]:
    """Return every field of every settings class in the packages, ordered by variable name."""
    readers = _readers()
    rows = [
        Setting(
            name=(owner.model_config.get("env_prefix", "") + field).upper(),
            default=_default(info),
            value=_value(field, info),
            description=(info.description or "").replace("|", "\\|"),
            owner=owner,
            readers=tuple(process for process in PROCESSES if owner.__name__ in readers[process]),
        )
        for owner in _classes()
        for field, info in owner.model_fields.items()
    ]
    return sorted(rows, key=lambda row: row.name)


def settings_table() -> str:
    rows = (
        (f"`{row.name}`", row.default, row.value, ", ".join(row.readers) or "none", row.description)
        for row in settings()
    )
    return _table(("variable", "default", "value", "read by", "meaning"), rows)


def error_table() -> str:
    """Return the codes that a client of the API can see, with their HTTP status."""
    rows = {kind.code: (kind.status, MEANINGS.get(kind.code, ""), kind.retryable) for kind in _errors(TidepoolError)}
    rows |= {code: (status, meaning, False) for code, (status, meaning) in ALSO.items()}
    ordered = sorted(rows.items(), key=lambda row: (row[1][0], row[0]))
    return _table(
        ("status", "`code`", "meaning", "worth a retry"),
        (
            (f"{status} {http.HTTPStatus(status).phrase}", f"`{code}`", meaning, "yes" if retryable else "no")
            for code, (status, meaning, retryable) in ordered
        ),
    )


def metrics() -> list[MetricOfProcesses]:
    """Return every metric that a module declares, ordered by name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    rows = [row for path in paths if "prometheus_client" in path.read_text() for row in _declared(path)]
    return sorted(rows, key=lambda row: row.name)


def _declared(path: Path) -> Iterator[MetricOfProcesses]:
    """Yield the metrics that a module declares, not those that it imports."""
    module, source = _module(path), path.read_text()
    processes = tuple(process for process, roots in PROCESSES.items() if module in _imports(roots[0]))
    for metric in vars(importlib.import_module(module)).values():
        if not isinstance(metric, MetricWrapperBase) or metric._labelvalues:
            continue
        (family,) = metric.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if f'"{name}"' in source:
            yield MetricOfProcesses(name, family.type, tuple(metric._labelnames), family.documentation, processes)


def metrics_table() -> str:
    rows = (
        (
            f"`{row.name}`",
            row.kind,
            ", ".join(f"`{label}`" for label in row.labels) or "none",
            row.unit or "",
            ", ".join(row.processes),
            row.meaning,
        )
        for row in metrics()
    )
    return _table(("metric", "type", "labels", "unit", "of", "meaning"), rows)


def command_reference() -> str:
    """Return a section for each panel of `tidepool --help` and for each of its commands, from their help."""
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name="tidepool")
    lines: list[str] = []
    for panel, names in PANELS.items():
        lines += [f"## {panel}", ""]
        for name in names:
            lines += _command(root.commands[name], context)
    return "\n".join(lines)


def _command(command: Any, above: typer.Context) -> Iterator[str]:
    """Yield the lines of a command, or of a group and its commands."""
    context = typer.Context(command, parent=above, info_name=command.name)
    pieces = (
        piece.replace("{", "").replace("}", "")
        for piece in command.collect_usage_pieces(context)
        if piece != "[OPTIONS]"
    )
    inner = list(getattr(command, "commands", {}).values())
    heading = context.command_path if inner else " ".join((context.command_path, *pieces))
    yield from (f"### `{heading}`", "", *inspect.cleandoc(command.help).splitlines(), "")
    if command.epilog:
        examples = [line.strip() for line in command.epilog.splitlines()[2:]]
        yield from ("```console", *(f"$ {example}" for example in examples), "```", "")
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    rows = [(f"`{name.removesuffix(' <str>')}`", text) for name, text in filter(None, records)]
    rows = [(name.replace("|", "\\|"), text.replace("|", "\\|")) for name, text in rows if not _is_common(name)]
    if rows and not inner:
        yield from _table(("argument or option", "meaning"), rows).splitlines()
        yield ""
    for child in inner:
        yield from _command(child, context)


def _is_common(name: str) -> bool:
    """Whether a parameter is explained once for all commands, at the start of the page."""
    return any(option in name for option in ("--help", "--json", "--project NAME"))


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "docs/settings.md": {"settings": settings_table},
    "docs/api.md": {"errors": error_table},
    "docs/cli.md": {"commands": command_reference},
    "docs/metrics.md": {"metrics": metrics_table},
}


def generated(page: str) -> str:
    """Return the text of a page with its tables as they should be."""
    text = (ROOT / page).read_text()
    for name, table in TABLES[page].items():
        begin = f"<!-- generated: {name} -->\n"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition("<!-- end -->")
        text = f"{head}{begin}\n{table()}\n<!-- end -->{tail}"
    return text


def _classes() -> list[type[BaseSettings]]:
    """Import every module named `settings`, and every other module that declares settings."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "BaseSettings" in path.read_text():
                importlib.import_module(_module(path))
    return [kind for kind in _subclasses(BaseSettings) if kind.__module__.split(".")[0] in PACKAGES]


def _readers() -> dict[str, set[str]]:
    """Return, for each process, the settings classes instantiated in the modules that it imports."""
    names = {kind.__name__ for kind in _classes()}
    result = {}
    for process, roots in PROCESSES.items():
        modules = set().union(*map(_imports, roots))
        source = "\n".join(_source(module) for module in modules)
        result[process] = {name for name in names if re.search(rf"(?<!class )\b{name}\(\)", source)}
    return result


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


@cache
def _imports(root: str) -> frozenset[str]:
    """Return a module and all that it imports, directly or not."""
    return frozenset({root, *_graph().find_upstream_modules(root)})


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text() if _exists(path) else ""


def _exists(path: Path) -> bool:
    return (path / "__init__.py").exists() or path.with_suffix(".py").exists()


def _default(info: FieldInfo) -> str:
    default = info.default
    if default is PydanticUndefined:
        return "required"
    if default == Path(tempfile.gettempdir()):
        return "the system's temporary folder"
    if default in (None, "", {}, ()):
        return "none"
    if isinstance(default, enum.Enum):
        default = default.value
    if isinstance(default, int) and default >= 1 << 20 and default % (1 << 20) == 0:
        size = f"{default >> 30} GiB" if default % (1 << 30) == 0 else f"{default >> 20} MiB"
        return f"`{default}` ({size})"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _value(field: str, info: FieldInfo) -> str:
    """Return the unit or the kind of value, with its bounds."""
    kind = _plain(info.annotation)
    bounds = [
        text.format(getattr(constraint, name))
        for constraint in info.metadata
        for name, text in BOUNDS.items()
        if hasattr(constraint, name)
    ]
    return ", ".join([_unit(field, kind), *bounds])


def _unit(field: str, kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    if typing.get_origin(kind) is dict:
        return "JSON object"
    if typing.get_origin(kind) is tuple:
        return "JSON list"
    units = (("_s", "seconds"), ("bytes", "bytes"), ("port", "port"), ("url", "URL"), ("endpoint", "URL"))
    for suffix, unit in units:
        if field.endswith(suffix):
            return unit
    return {int: "number", float: "number", Path: "path", SecretStr: "secret"}.get(kind, "text")


def _plain(annotation: Any) -> Any:
    """Return the type without `| None` and without `Annotated`."""
    if isinstance(annotation, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def _errors(kind: type[TidepoolError]) -> Iterator[type[TidepoolError]]:
    return (error for error in (kind, *_subclasses(kind)) if not issubclass(error, Interrupted))


def _subclasses(kind: type[Any]) -> list[type[Any]]:
    direct = kind.__subclasses__()
    return [*direct, *(below for child in direct for below in _subclasses(child))]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for page in TABLES:
        (ROOT / page).write_text(generated(page))

"""Sections of the page of results: decisions, variants, and what many images cost."""

from collections.abc import Iterator
from typing import Any

from benchmarks.page import MISSING, Line, table
from benchmarks.training.log import Log
from benchmarks.training.rows import ROWS, Row

EXPLAINED = ("image.size", "image.resize", "method", "architecture", "class_weights")


def decisions(log: Log) -> list[str]:
    """Return the decisions of the first seed of each row in one line, and the reasons of those in EXPLAINED."""
    lines = []
    for row in ROWS:
        for line in log.lines(row.name)[:1]:
            if line.get("decisions") and row.group != "scale":
                pairs = [*line["prepared"]["decisions"], *line["decisions"]]
                texts = (f"{what} {_short(value)}" for what, value, _ in pairs)
                lines.append(f"* **{row.dataset}**, {row.way}: {' · '.join(texts)}")
                lines += [f"    * {what}: {because}" for what, _, because in pairs if what in EXPLAINED]
    return [*lines, ""] if lines else []


def _short(value: Any) -> str:
    if isinstance(value, dict):
        parts = (f"{name} {_short(part)}" for name, part in value.items() if part not in (0, False, None))
        return f"({', '.join(parts)})"
    if isinstance(value, list | tuple):
        return "×".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def variants(log: Log) -> list[str]:
    """Return the table of the files of the first seed's model of each row."""
    cells = [
        cell for row in ROWS if row.group != "scale" for line in log.lines(row.name)[:1] for cell in _files(row, line)
    ]
    columns = ("data set", "way", "variant", ">KiB", ">images/s", ">× fp32", ">val %", "serves")
    return table(columns, cells) if cells else []


def _files(row: Row, line: Line) -> Iterator[tuple[str, ...]]:
    files = line.get("variants") or ()
    plain = next((file["images_per_second"] for file in files if file["name"] == "fp32"), None)
    for file in files:
        yield (
            row.dataset,
            row.way,
            file["name"],
            f"{file['size'] / 1024:,.0f}",
            f"{file['images_per_second']:,.0f}",
            f"{file['images_per_second'] / plain:.2f}" if plain else MISSING,
            MISSING if file["accuracy"] is None else f"{100 * file['accuracy']:.1f}",
            "yes" if line["serving"] == file["name"] else "",
        )


def scale(log: Log) -> list[str]:
    """Return the table of memory and time by the number of images."""
    cells = []
    for row in ROWS:
        for line in log.lines(row.name) if row.group == "scale" else ():
            if "prepared" in line and "error" not in line:
                prepared, count = line["prepared"], sum(line["prepared"]["counts"].values())
                trained = prepared["counts"]["train"]
                seconds = (prepared["seconds"] / count, line["loop_s"] / trained, line["seconds"] / trained)
                sizes = (prepared["memory_mib"], line["memory_mib"])
                cells.append((f"{count:,}", *(f"{1e6 * s:,.0f}" for s in seconds), *(f"{m:,.0f}" for m in sizes)))
    columns = (
        ">images",
        ">prepare, µs an image",
        ">an epoch, µs an image",
        ">the whole job, µs an image",
        ">prepare, MiB",
        ">train, MiB",
    )
    return table(columns, cells) if cells else []

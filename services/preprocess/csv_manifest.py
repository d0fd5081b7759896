"""CSV manifests with the columns `path,label[,split]`."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from contract.errors import BadDataset
from media.archives.rejections import shown

_NAMES = ("manifest.csv", "labels.csv")


@dataclass(frozen=True)
class Row:
    """A line of a manifest, its cells stripped of white space; `split` may be empty."""

    path: str
    label: str
    split: str


def find(names: Collection[str]) -> str | None:
    """Return the manifest among the names: `manifest.csv`, `labels.csv` or the only CSV file outside of any folder."""
    tables = [name for name in names if "/" not in name and name.lower().endswith(".csv")]
    return next((name for name in _NAMES if name in tables), tables[0] if len(tables) == 1 else None)


def rows(name: str, data: bytes, most: int) -> Iterator[Row]:
    """Yield the rows of a UTF-8 CSV file, with or without a byte order mark.

    Raise BadDataset if it cannot be read or has more than `most` rows.
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), restval="")
        columns = {str(column).strip().lower(): column for column in reader.fieldnames or ()}
        if not {"path", "label"} <= columns.keys():
            raise BadDataset(f"{shown(name)} needs the columns path,label or path,label,split in its first line")
        for count, row in enumerate(reader, start=1):
            if count > most:
                raise BadDataset(f"{shown(name)} has over {most} rows")
            cells = {column: row[columns[column]].strip() for column in ("path", "label")}
            yield Row(**cells, split=row[columns["split"]].strip() if "split" in columns else "")
    except UnicodeDecodeError:
        raise BadDataset(f"{shown(name)} is not UTF-8 text") from None
    except csv.Error as error:
        raise BadDataset(f"{shown(name)} is not a readable CSV file") from error

"""The only place that reads Server-Sent Events."""

import json
from collections.abc import Iterable, Iterator

from contract.events import JobEvent

LINE = b"\r\n"


def events_in(chunks: Iterable[bytes]) -> Iterator[JobEvent]:
    """The events in the chunks of a stream; comments, and an event that is cut off at the end, are left out."""
    rest = b""
    for chunk in chunks:
        *blocks, rest = (rest + chunk).split(LINE + LINE)
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split(LINE.decode()))
            if "data" in fields:
                yield JobEvent.model_validate(
                    {"id": int(fields["id"]), "kind": fields["event"], **json.loads(fields["data"])}
                )

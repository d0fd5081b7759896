"""`tidepool backup` and `tidepool restore`: the stack on this machine as one file."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from tidepool.cli.connection import current_home
from tidepool.cli.exits import WrongUsage
from tidepool.cli.output import file_size, moment, note, say
from tidepool.cli.root import command
from tidepool.stack.home import Home

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly

LISTED = 3  # objects that are missing
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@command("backup", "tidepool backup before-update.tar", "tidepool backup /backups/")
def backup(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="The file to write; in a folder, it is named after the time.",
            show_default=False,
        ),
    ],
) -> None:
    """Write the stack on this machine to one file.

    It contains the database, everything that the database refers to, and the keys, so keep it as safe as the stack.
    The stack may run meanwhile. A backup that is interrupted leaves no file. Jobs that run continue from their last
    checkpoint after a restore.
    """
    from tidepool.backup.writing import write_backup
    from tidepool.cli.following import progress

    if target.is_dir():
        target /= f"tidepool-{datetime.now():%Y-%m-%d-%H%M%S}.tar"
    elif not target.parent.is_dir():
        raise WrongUsage(f"The folder {target.parent} does not exist. Create it, or name another one.")
    with _ended_as_by_ctrl_c(), progress() as display, display.step("Backing up") as update:

        def on_bytes(copied: int, known: int) -> None:
            update(copied / max(1, known), f"{file_size(copied)} of {file_size(known)}")

        manifest = write_backup(current_home(), target.absolute(), on_bytes)
    if manifest.missing:
        count, examples = len(manifest.missing), ", ".join(manifest.missing[:LISTED])
        note(f"Not in the backup, because the stack has lost them: {count} objects ({examples}).")
    say(
        f"Wrote {target} with {len(manifest.files)} files, {file_size(manifest.size)}.",
        "It contains the keys of the stack. To restore it, into a folder that does not exist yet:",
        f"  TIDEPOOL_HOME=./restored tidepool restore {shlex.quote(str(target))}",
    )


@command("restore", "tidepool restore before-update.tar", "TIDEPOOL_HOME=./restored tidepool restore before-update.tar")
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tidepool backup` has written.")],
) -> None:
    """Restore a backup into the folder .tidepool, or the one that TIDEPOOL_HOME names.

    The folder must be empty or missing. It appears when every file has proved to be as it was, or not at all.
    Then `tidepool up` starts the stack, with the data and the keys of the backup.
    """
    from tidepool.backup.restoring import restore_backup
    from tidepool.cli.following import progress

    home = Home.from_environment()
    with _ended_as_by_ctrl_c(), progress() as display, display.step("Restoring") as update:

        def on_bytes(restored: int, size: int) -> None:
            update(restored / max(1, size), f"{file_size(restored)} of {file_size(size)}")

        manifest = restore_backup(home, source, on_bytes)
    if manifest.missing:
        note(f"{len(manifest.missing)} objects were lost already when the backup was made.")
    say(
        f"Restored the stack of {moment(manifest.created_at)} (Tidepool {manifest.version}) into {home.path}.",
        "Start it:",
        "  tidepool up",
    )


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the block, so that drafts are removed; what `nohup` ignores stays ignored."""
    before = {number: signal.getsignal(number) for number in ENDINGS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in ENDINGS:  # a terminal that closes may send SIGHUP twice
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

"""The question before a command deletes what cannot be brought back."""

import sys
from typing import Annotated

import typer
from typer.exceptions import Abort

from tidepool.cli.exits import WrongUsage
from tidepool.cli.output import note

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirmed(question: str, refused: str) -> bool:
    """Ask on the terminal, and say `refused` after a no; raises WrongUsage if there is no terminal."""
    try:
        answer = bool(typer.confirm(question, err=True))
    except Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        raise WrongUsage(f"{refused}: there is no terminal to ask on. Add --yes to do it.") from None
    if not answer:
        note(f"{refused}.")
    return answer

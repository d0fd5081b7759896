"""Exit codes of the command line, and errors as one sentence instead of a traceback."""

import io
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

from contract.errors import (
    BrokerUnavailable,
    Corrupt,
    DatabaseUnavailable,
    JobFailed,
    ObjectsUnavailable,
    Overloaded,
    Unavailable,
    WorkerLost,
)
from contract.jobs import Job
from tidepool.cli.output import note
from tidepool.errors import UserFacingError

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

DEBUG = "TIDEPOOL_DEBUG"  # shows the traceback of an unexpected error


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    JOB = 4
    UNREACHABLE = 5
    STOPPED = 130  # by Ctrl-C, as in a shell


MEANINGS = {
    ExitCode.OK: "success",
    ExitCode.FAILED: "it failed on this machine",
    ExitCode.USAGE: "wrong usage: an argument or an option",
    ExitCode.REFUSED: "the server refused it (4xx), or at least one file of a prediction",
    ExitCode.JOB: "the job failed, was cancelled or has expired",
    ExitCode.UNREACHABLE: "the server cannot be reached, or is in trouble itself (5xx)",
    ExitCode.STOPPED: "stopped by Ctrl-C; a job that was followed goes on",
}
PASSING = (
    JobFailed,
    WorkerLost,
    Unavailable,
    DatabaseUnavailable,
    BrokerUnavailable,
    ObjectsUnavailable,
    Corrupt,
    Overloaded,
)
HINTS = {
    f"no such {noun}" if noun == "job" else f"no {noun}": f" `tidepool {noun}s ls` lists the {noun}s."
    for noun in ("job", "model", "dataset", "project")
}
EXPLANATION = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {text}" for code, text in MEANINGS.items())


class WrongUsage(UserFacingError):
    """The arguments do not fit together."""


class Commands(TyperGroup):
    """The root: reports every error as a sentence on stderr and ends with its exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # of characters that the terminal's encoding does not have
        try:
            result = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            message, result = described(error)
            note(*message.splitlines())
        if standalone_mode:
            sys.exit(result if isinstance(result, int) else ExitCode.OK)
        return result


def described(error: Exception) -> tuple[str, ExitCode]:
    """Return the sentence that reports an error, empty if it was printed already, and its exit code."""
    from tidepool_client import ClientError

    message, code = str(error), ExitCode.FAILED
    match error:
        case ClientError():
            message, code = _of_client(error)
        case WrongUsage():
            code = ExitCode.USAGE
        case UserFacingError():
            pass
        case Abort():
            message, code = "Stopped.", ExitCode.STOPPED
        case TyperException():
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "tidepool"
            printed = type(error).__name__ == "NoArgsIsHelpError"  # its message is the help
            message = message if printed else f"{_sentence(error.format_message())} See `{path} --help`."
            code = ExitCode.USAGE
        case OSError(filename=str() as name, strerror=str() as reason):
            message = f"{name}: {reason}."
        case _:
            kind = type(error).__name__
            message = f"This is a defect of the command line ({kind}). Please report it with what {DEBUG}=1 prints."
    return message, code


def _of_client(error: Exception) -> tuple[str, ExitCode]:
    """Return the message, with what to do if only the command line knows it, and the exit code."""
    from tidepool_client import (
        ApiError,
        InvalidInput,
        JobUnsuccessful,
        NotFound,
        ServerError,
        Unauthenticated,
        Unreachable,
    )

    hint, code = "", ExitCode.UNREACHABLE
    match error:
        case JobUnsuccessful(job=job):
            again = f" `tidepool jobs retry {job.id}` runs it again." if worth_a_retry(job) else ""
            hint = f" `tidepool jobs logs {job.id}` shows what it did.{again}"
            code = ExitCode.JOB
        case Unreachable():
            hint = " Is the server running, and is its address right? `tidepool whoami` shows it."
        case ServerError(request_id=str() as request):
            hint = f" The server's log says more under the request id {request}."
        case ServerError():
            hint = " Try again later."
        case Unauthenticated():
            hint = " Log in again with `tidepool login URL`, or correct TIDEPOOL_API_KEY."
            code = ExitCode.REFUSED
        case NotFound():
            hint = HINTS.get(next((noun for noun in HINTS if noun in error.message), ""), "")
            code = ExitCode.REFUSED
        case ApiError():
            code = ExitCode.REFUSED
        case InvalidInput():
            code = ExitCode.USAGE
    return _sentence(str(error)) + hint, code


def worth_a_retry(job: Job) -> bool:
    """Return whether a job may succeed next time, unlike one that was refused for its data."""
    return job.error is None or job.error.code in {"internal", *(error.code for error in PASSING)}


def _sentence(text: str) -> str:
    """Return the text with a full stop at its end, and a capital letter at its start unless it starts with a name."""
    first = text.partition(" ")[0]
    text = text[:1].upper() + text[1:] if first.isalpha() else text
    return text if text.endswith(("?", ".")) else f"{text}."

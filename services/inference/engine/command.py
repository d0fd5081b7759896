"""What the commands share that the trainer runs in processes of their own."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator

from contract.errors import TidepoolError


def print_result(work: Callable[[], object]) -> int:
    """Print what `work` returns as one JSON line, or its error on stderr; return the exit status."""
    return print_results(work() for _ in range(1))


def print_results(results: Iterator[object]) -> int:
    """Print each result as a JSON line as soon as it is there, or the error on stderr; return the exit status."""
    try:
        while True:
            # ONNX Runtime prints to stdout when a device fails.
            with contextlib.redirect_stdout(sys.stderr):
                result = next(results, None)
            if result is None:
                return 0
            print(json.dumps(result), flush=True)
    except TidepoolError as error:
        print(error.message, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1

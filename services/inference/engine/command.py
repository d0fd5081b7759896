"""What the commands share that the trainer runs in processes of their own."""

import contextlib
import json
import sys
from collections.abc import Callable

from contract.errors import TidepoolError


def print_result(work: Callable[[], object]) -> int:
    """Print what `work` returns as one JSON line, or its error on stderr; return the exit status."""
    try:
        # ONNX Runtime prints to stdout when a device fails.
        with contextlib.redirect_stdout(sys.stderr):
            result = work()
    except TidepoolError as error:
        print(error.message, file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0

"""The process of one replica of the fault tests' pools."""

import sys

from runtime.replica import serve
from tests.faults.behaviours import behave

if __name__ == "__main__":
    serve(sys.argv[1], handler=behave)

"""A replica for the fault tests."""

import sys

from contract.jobs import JobKind
from tests.faults.behaviours import behave
from worker.replica import serve

if __name__ == "__main__":
    serve(sys.argv[1], handlers={kind: behave for kind in JobKind if kind.pool == sys.argv[1]})

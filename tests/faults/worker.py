"""A replica for the fault tests."""

import sys

from contract.jobs import POOLS
from tests.faults.behaviours import behave
from worker.replica import serve

if __name__ == "__main__":
    serve(sys.argv[1], handlers={kind: behave for kind, pool in POOLS.items() if pool == sys.argv[1]})

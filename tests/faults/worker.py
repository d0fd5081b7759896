"""The process of one replica of the fault tests' pools."""

import sys

from contract.jobs import POOLS
from runtime import worker
from runtime.replica import serve
from tests.faults.behaviours import behave

if __name__ == "__main__":
    worker.LOOK_S = 1.0  # nobody waits five seconds for a job that lost its bell
    serve(sys.argv[1], handlers={kind: behave for kind, pool in POOLS.items() if pool == sys.argv[1]})

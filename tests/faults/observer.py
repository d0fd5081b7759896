"""Records changes of the job table during a run, bypassing the proxies."""

import threading
from contextlib import suppress

from sqlalchemy import func, select

from contract.errors import TidepoolError
from contract.jobs import LIVE
from services.storage.tables import jobs
from tests.faults.cluster import Cluster
from tests.faults.history import Operation, Recorder

EVERY_S = 0.2


class Observer:
    """Records the state and fence of every row when they change."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        self._database, self._recorder = cluster.stores.database, recorder
        self._seen: dict[str, tuple[str, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and look a last time."""
        self._stop.set()
        self._thread.join()
        self.look()

    def live(self) -> int:
        """Return the number of jobs and parts that have not ended."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).where(jobs.c.state.in_(LIVE))).scalar_one()

    def look(self) -> None:
        began = self._recorder.now()
        with self._database.read() as connection:
            rows = connection.execute(select(jobs.c.id, jobs.c.state, jobs.c.fence)).all()
        for job, state, fence in rows:
            if self._seen.get(job) != (state, fence):
                self._seen[job] = state, fence
                value = {"state": state, "fence": fence}
                self._recorder.note("database", Operation.ROW, job, value, began=began)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            with suppress(TidepoolError):
                self.look()

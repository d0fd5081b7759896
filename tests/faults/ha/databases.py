"""PostgreSQL on three machines: a primary and two standbys, of which one must confirm each commit."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.faults.ha.machines import Machine, Network
from tests.faults.process import signal_all
from tests.support.servers import postgres_binaries

PORT = 5432
NAME = "postgres"  # of the process on each machine
USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
READY_S = 120.0
SETTINGS = {
    "fsync": "off",  # machines lose their processes here, not their disks
    "synchronous_commit": "on",
    "wal_log_hints": "on",  # for pg_rewind
    "wal_keep_size": "256MB",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
    "max_connections": "200",
    "shared_buffers": "32MB",
}


class Databases:
    """The three servers, and what an operator or Patroni does with them."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._hosts = ",".join(machine.address for machine in network.machines)

    @property
    def url(self) -> str:
        hosts = ",".join(f"{machine.address}:{PORT}" for machine in self._network.machines)
        return f"postgresql+psycopg://tidepool@{hosts}/postgres"

    def start(self) -> None:
        """Make the primary on the first machine and the standbys on the others."""
        first, *others = self._network.machines
        self._owned(self._folder)
        self._run(first, "initdb", "-D", self._data(first), "-U", "tidepool", "-A", "trust", "-N")
        with (self._data(first) / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 trust\nhost replication all 10.0.0.0/8 trust\n")
        names = ", ".join(machine.name for machine in self._network.machines)
        settings = SETTINGS | {"synchronous_standby_names": f"ANY 1 ({names})"}
        with (self._data(first) / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._serve(first)
        self._until(lambda: self.primary() is first)
        for machine in others:
            self._copy(machine)
            self._serve(machine)
        self._until(self.redundant)

    def primary(self) -> Machine | None:
        """Return the machine whose server accepts writes; None if none does or can be asked."""
        return next((machine for machine in self._network.machines if self._ask(machine, _PRIMARY)), None)

    def redundant(self) -> bool:
        """Return whether both standbys receive what the primary writes, and either may confirm a commit."""
        primary = self.primary()
        return primary is not None and self._ask(primary, _STREAMING) == len(self._network.machines) - 1

    def states(self) -> str:
        """Say what each server is, for an error message."""
        texts = []
        for machine in self._network.machines:
            primary, standbys, received = (self._ask(machine, query) for query in (_PRIMARY, _STREAMING, _RECEIVED))
            texts.append(f"{machine.name}: primary {primary == 1}, {standbys} standbys, has received {received}")
        return "; ".join(texts)

    def fence(self, machine: Machine) -> None:
        """Make sure that a server accepts no more writes, by a way that does not need the network."""
        process = machine.processes[NAME]
        family = process.family()
        process.disable()
        signal_all(family, signal.SIGKILL)

    def stop(self, machine: Machine) -> None:
        """Stop a server in order, as before a planned switch."""
        machine.processes[NAME].disable()
        self._run(machine, "pg_ctl", "stop", "-D", self._data(machine), "-m", "fast", "-t", "20")

    def promote(self, old: Machine) -> Machine:
        """Promote the standby that has most of the log in place of the old primary, which must be fenced.

        Waits until both standbys answer. One of them has confirmed each commit, and only both can say which.
        """
        received: dict[str, int | None] = {}
        standbys = [machine for machine in self._network.machines if machine is not old]

        def both_answer() -> bool:
            received.update({machine.name: self._ask(machine, _RECEIVED) for machine in standbys})
            return None not in received.values()

        self._until(both_answer)
        chosen = self._network[max(received, key=lambda name: received[name] or 0)]
        self._run(chosen, "pg_ctl", "promote", "-D", self._data(chosen), "-t", "30")
        return chosen

    def rejoin(self, machine: Machine) -> None:
        """Bring a fenced server back as a standby of the present primary, by pg_rewind or with a new copy of it."""
        self.fence(machine)
        self._until(lambda: self.primary() is not None)
        if not self._rewind(machine):
            shutil.rmtree(self._data(machine), ignore_errors=True)
            self._copy(machine)
        machine.processes[NAME].resume()

    def _rewind(self, machine: Machine) -> bool:
        """Undo what a server has written and the present primary has not; return whether that was possible."""
        try:
            # pg_rewind reads the primary's timeline from its last checkpoint, which may be older than the promotion
            with psycopg.connect(self._source()) as primary:
                primary.execute("CHECKPOINT")
            self._run(machine, "pg_rewind", "-D", self._data(machine), "--source-server", self._source())
        except (RuntimeError, psycopg.Error) as error:
            print(f"{error}; it gets a new copy", flush=True)
            return False
        self._follow(machine)
        return True

    def _copy(self, machine: Machine) -> None:
        self._until(lambda: self.primary() is not None)
        self._run(machine, "pg_basebackup", "-D", self._data(machine), "-d", self._source(), "--checkpoint=fast")
        self._follow(machine)

    def _source(self) -> str:
        hosts = f"host={self._hosts} port={PORT} user=tidepool dbname=postgres"
        return f"{hosts} target_session_attrs=read-write connect_timeout=2"

    def _follow(self, machine: Machine) -> None:
        """Make a server a standby of the present primary and of any later one."""
        signal_file = self._data(machine) / "standby.signal"
        signal_file.touch()
        shutil.chown(signal_file, "postgres")
        with (self._data(machine) / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{self._source()} application_name={machine.name}'\n")

    def _serve(self, machine: Machine) -> None:
        binary = str(postgres_binaries() / "postgres")
        where = ["-D", str(self._data(machine)), "-h", machine.address, "-p", str(PORT), "-k", ""]
        machine.run(NAME, [*USER, binary, *where])

    def _data(self, machine: Machine) -> Path:
        return self._folder / f"postgres-{machine.name}"

    def _run(self, machine: Machine, program: str, *arguments: str | Path) -> None:
        command = ["ip", "netns", "exec", machine.namespace, *USER, str(postgres_binaries() / program), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} on {machine.name}: {done.stderr}")

    def _ask(self, machine: Machine, query: str) -> int | None:
        try:
            with psycopg.connect(
                f"host={machine.address} port={PORT} user=tidepool dbname=postgres connect_timeout=1"
            ) as server:
                row = server.execute(query).fetchone()
        except psycopg.Error:
            return None
        return None if row is None or row[0] is None else int(row[0])

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the databases are not ready")
            time.sleep(0.2)

    def _owned(self, folder: Path) -> None:
        folder.mkdir()
        shutil.chown(folder, "postgres")


_PRIMARY = "SELECT 1 WHERE NOT pg_is_in_recovery()"
_STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'"
# What a server received before it started again counts as replayed only; greatest() ignores NULL.
_RECEIVED = """
    SELECT pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
    WHERE pg_is_in_recovery()
"""

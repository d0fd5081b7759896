"""Machines: network namespaces with addresses of their own, on a switch that also reaches this machine."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.process import RestartedProcess

NAMES = ("a", "b", "c")


@dataclass
class Machine:
    """A namespace with its processes, which restart when they die, until the machine is powered off."""

    name: str
    namespace: str
    switch: str
    link: str  # the switch's end of the cable
    address: str
    folder: Path
    processes: dict[str, RestartedProcess] = field(default_factory=dict)

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str] = {}) -> RestartedProcess:
        """Start a process, restarted when it dies; its output goes to `<folder>/<name>-<machine>.log`."""
        inside = ["ip", "netns", "exec", self.namespace, *command]
        process = RestartedProcess(f"{name}-{self.name}", inside, {**os.environ, **environment}, self.folder)
        self.processes[name] = process
        return process

    def power_off(self) -> None:
        """Kill every process at once, without the chance to say anything, and start none again."""
        for process in self.processes.values():
            process.disable()
        self.kill_all()

    def power_on(self, *without: str) -> None:
        for name, process in self.processes.items():
            if name not in without:
                process.resume()

    def cut(self) -> None:
        """Drop every packet from and to the machine; its connections are not closed."""
        _ip("-n", self.switch, "link", "set", self.link, "down")

    def heal(self) -> None:
        _ip("-n", self.switch, "link", "set", self.link, "up")

    def kill_all(self) -> None:
        pids = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False)
        for pid in map(int, pids.stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Network:
    """Three machines, and the address at which they reach this one."""

    address: str
    machines: tuple[Machine, ...]

    def __getitem__(self, name: str) -> Machine:
        return self.machines[NAMES.index(name)]


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Make the bridge and the namespaces during the block; needs root."""
    number = os.getpid() % 65536
    start, switch, here = f"10.{200 + number % 50}.{number % 251}", f"tp{number}", f"tp{number}h"
    machines = [
        Machine(name, f"tp{number}-{name}", switch, f"port-{name}", f"{start}.{11 + index}", folder)
        for index, name in enumerate(NAMES)
    ]
    try:
        # a namespace of its own, as this machine's firewall may drop what a bridge forwards
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        _connect(switch, "port-here", here)
        _ip("addr", "add", f"{start}.1/24", "dev", here)
        _ip("link", "set", here, "up")
        for machine in machines:
            _ip("netns", "add", machine.namespace)
            _connect(switch, machine.link, "eth0", "netns", machine.namespace)
            _ip("-n", machine.namespace, "addr", "add", f"{machine.address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", machine.namespace, "link", "set", device, "up")
        yield Network(f"{start}.1", tuple(machines))
    finally:
        for machine in machines:
            for process in machine.processes.values():
                process.stop()
            machine.kill_all()
            _ip("netns", "del", machine.namespace, check=False)
        _ip("link", "del", here, check=False)
        _ip("netns", "del", switch, check=False)


def _connect(switch: str, port: str, *peer: str) -> None:
    """Put a cable between a port of the switch and a device."""
    _ip("link", "add", *peer[:1], *peer[1:], "type", "veth", "peer", "name", port, "netns", switch)
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)

"""The address and the network interface by which other trainers reach this one."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

import psutil

from contract.errors import JobFailed


class Own(NamedTuple):
    address: str
    interface: str


def own_address(network: IPv4Network | IPv6Network) -> Own:
    """Return this machine's address in a network; raises JobFailed if it has none."""
    for interface, addresses in psutil.net_if_addrs().items():
        for known in addresses:
            try:
                address = ip_address(known.address.partition("%")[0])
            except ValueError:
                continue  # of the hardware
            if address in network:
                return Own(str(address), interface)
    raise JobFailed(f"this trainer has no address in {network}; correct TIDEPOOL_TRAINERS_NETWORK")

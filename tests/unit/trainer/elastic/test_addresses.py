"""The address by which other trainers reach this one."""

from ipaddress import ip_network

import pytest

from contract.errors import JobFailed
from services.trainer.elastic.addresses import own_address


@pytest.mark.parametrize("network", ["127.0.0.1/32", "127.0.0.0/8"])
def test_a_trainer_uses_its_address_in_the_network(network: str) -> None:
    assert own_address(ip_network(network)).address == "127.0.0.1"


def test_a_network_without_an_address_of_this_machine_is_refused() -> None:
    with pytest.raises(JobFailed, match="TIDEPOOL_TRAINERS_NETWORK"):
        own_address(ip_network("203.0.113.0/24"))

import pytest

from tests.unit.scaling.simulation.queueing import mean_wait_md1, mean_wait_mdc


@pytest.mark.parametrize("utilization", [0.1, 0.5, 0.8])
def test_the_formulas_agree_for_one_server(utilization: float) -> None:
    assert mean_wait_mdc(1, utilization) == pytest.approx(mean_wait_md1(utilization), rel=1e-4)

"""How often a training tells how far it is."""

from services.trainer.pulse import INTERVAL_S, Pulse


def test_due_at_once_and_then_after_each_interval() -> None:
    moments = [0.0, 0.0, INTERVAL_S / 2, INTERVAL_S, INTERVAL_S * 1.5, INTERVAL_S * 10]
    pulse = Pulse(clock=iter(moments).__next__)

    assert [pulse.due() for _ in moments[1:]] == [True, False, True, False, True]

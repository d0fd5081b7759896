"""The only place that decides how many replicas a pool should have: a pure function; see docs/adr/0017."""

from contract.pools import Decision, Measured, ScalingPolicy
from services.autoscaler.answers import Answer, answers, has_work, missing
from services.autoscaler.memory import Memory

DECIDE_S = 1.0  # so often the autoscaler asks, and so does a simulation of it
STALE_S = 5.0  # measurements older than this are none


def decide(measured: Measured, policy: ScalingPolicy, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """The replicas for what was `measured`, and the memory for the next call; `now` is in seconds, as `measured.at`.

    The largest answer of all targets wins. More replicas come at once: at most twice as many or four more in one step,
    the HPA's default scaleUp policy. Fewer come when no more were wanted within `quiet_s`, the HPA's stabilisation
    window of scaleDown. None are left after `idle_s` without any work, KEDA's cooldownPeriod, which like there asks
    for no window; the first work brings them back. Where measurements are missing, the others may ask for more, but
    nothing for less, as in the HPA. Bounds hold at once and always; within them, each lease keeps a replica.

    `measured.running` counts leases, also in a pool that answers requests: a request under way shows in `busy`.
    """
    memory = memory.looking(now)
    lacking = missing(measured, policy)
    if now - measured.at > STALE_S:
        lacking, found = [f"anything for {now - measured.at:.0f} s"], []
    else:
        found = answers(measured, policy, memory.desired)
    # of equals the last, which says more than that there is work
    wanted = max(reversed(found), key=lambda answer: answer.replicas, default=Answer(0, ""))
    if lacking and wanted.replicas <= memory.desired:
        wanted = Answer(memory.desired, f"not measured: {', '.join(lacking)}")
    memory = memory.noting(wanted.replicas, policy.quiet_s, idle=not lacking and not has_work(measured))
    chosen = _chosen(wanted, policy, memory, measured.running or 0)
    bounded = min(max(chosen.replicas, policy.min), policy.max)
    return Decision(replicas=bounded, reason=_reason(memory.desired, bounded, chosen)), memory.deciding(bounded)


def _chosen(wanted: Answer, policy: ScalingPolicy, memory: Memory, leases: int) -> Answer:
    """Before the bounds."""
    desired, most = memory.desired, memory.most_wanted
    if wanted.replicas > desired:
        step = max(2 * desired, desired + 4, leases)
        return wanted if wanted.replicas <= step else Answer(step, f"{wanted.because}, but one step goes no further")
    if policy.min == 0 and memory.idle_since is not None and memory.at - memory.idle_since >= policy.idle_s:
        return Answer(0, f"no work for {policy.idle_s:g} s")
    if wanted.replicas == desired:
        return wanted
    if most >= desired:
        return Answer(desired, f"{wanted.because}, but {most} were wanted within {policy.quiet_s:g} s")
    if most == 0 and policy.min == 0:
        return Answer(1, f"no work, but not for {policy.idle_s:g} s yet")
    return Answer(most, f"{wanted.because}, and no more than {most} were wanted for {policy.quiet_s:g} s")


def _reason(before: int, after: int, chosen: Answer) -> str:
    change = (
        f"Stays at {after}" if after == before else f"{'Up' if after > before else 'Down'} from {before} to {after}"
    )
    bound = "" if after == chosen.replicas else f"; {'at least' if after > chosen.replicas else 'at most'} {after}"
    return f"{change}: {chosen.because}{bound}"

"""The scaling policy: how many replicas a pool should have, as a pure function; see docs/adr/0017."""

from contract.pools import Decision, Measured, ScalingPolicy
from scaling.policy_state import PolicyState
from scaling.targets import Proposal, has_work, missing, proposals

DECIDE_S = 1.0  # interval between decisions, in the autoscaler and in simulations
STALE_S = 5.0  # older measurements are ignored


def decide(measured: Measured, policy: ScalingPolicy, state: PolicyState, now: float) -> tuple[Decision, PolicyState]:
    """Return the decision for `measured` and the state for the next call; `now` is in seconds, as `measured.at`.

    The largest proposal of all targets is the recommendation. Scale-up is immediate, in steps of at most double or four
    more, the HPA's default scaleUp policy. Scale-down follows the largest recommendation within `quiet_s`, the HPA's
    stabilization window of scaleDown. After `idle_s` without any work the pool scales to zero, as with KEDA's
    cooldownPeriod, regardless of the window; the first work scales it up again. If measurements are missing, the others
    can scale up but not down, as in the HPA. Bounds always apply at once; within them, the pool keeps one replica per
    lease.

    `measured.running` counts leases, also in a pool that serves requests: an active request shows in `busy`.
    """
    state = state.advanced_to(now)
    lacking = missing(measured, policy)
    if now - measured.at > STALE_S:
        lacking, proposed = [f"everything for {now - measured.at:.0f} s"], []
    else:
        proposed = proposals(measured, policy, state.desired)
    # the last of equal ones, whose reason is more specific than "there is work"
    recommended = max(reversed(proposed), key=lambda proposal: proposal.replicas, default=Proposal(0, ""))
    if lacking and recommended.replicas <= state.desired:
        recommended = Proposal(state.desired, f"not measured: {', '.join(lacking)}")
    state = state.with_recommendation(recommended.replicas, policy.quiet_s, idle=not lacking and not has_work(measured))
    chosen = _chosen(recommended, policy, state, measured.running or 0)
    bounded = min(max(chosen.replicas, policy.min), policy.max)
    return Decision(replicas=bounded, reason=_reason(state.desired, bounded, chosen)), state.with_decision(bounded)


def _chosen(recommended: Proposal, policy: ScalingPolicy, state: PolicyState, leases: int) -> Proposal:
    """Return the count before the bounds apply."""
    desired, largest = state.desired, state.largest_recommendation
    if recommended.replicas > desired:
        step = max(2 * desired, desired + 4, leases)
        limited = Proposal(step, f"{recommended.reason}, limited to one step")
        return recommended if recommended.replicas <= step else limited
    if policy.min == 0 and state.idle_since is not None and state.at - state.idle_since >= policy.idle_s:
        return Proposal(0, f"no work for {policy.idle_s:g} s")
    if recommended.replicas == desired:
        return recommended
    if largest >= desired:
        return Proposal(desired, f"{recommended.reason}, but {largest} were needed within {policy.quiet_s:g} s")
    if largest == 0 and policy.min == 0:
        return Proposal(1, f"no work, but not for {policy.idle_s:g} s yet")
    return Proposal(largest, f"{recommended.reason}, and at most {largest} were needed for {policy.quiet_s:g} s")


def _reason(before: int, after: int, chosen: Proposal) -> str:
    change = (
        f"Stays at {after}" if after == before else f"{'Up' if after > before else 'Down'} from {before} to {after}"
    )
    bound = "" if after == chosen.replicas else f"; {'at least' if after > chosen.replicas else 'at most'} {after}"
    return f"{change}: {chosen.reason}{bound}"

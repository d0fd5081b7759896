"""Tries the ways to a model that the plan names, and keeps the best one on validation."""

from dataclasses import replace

from contract.choices import Choice
from contract.evaluation import TrainingImages
from contract.training import Method
from services.trainer import decisions
from services.trainer.backbones.brought import Graph
from services.trainer.candidates import Candidate
from services.trainer.checkpoint import Checkpoint
from services.trainer.descent import descend, short_training, unchanged
from services.trainer.probe import Probe
from services.trainer.probing import fit_probe, probed
from services.trainer.session import Session


def best_candidate(session: Session) -> Candidate:
    """Try the ways of the plan and return the best on validation; the first of equal ones."""
    same = session.state is not None and session.state.labels == session.labels
    backbone = session.state is not None and not session.state.labels
    plan = decisions.plan(session.spec, session.facts, same, backbone, isinstance(session.state, Graph))
    if session.checkpoint is not None:
        return _chosen(session, plan, *_resumed(session, plan, session.checkpoint))
    candidates = [fit_probe(session, plan.start or "")] if plan.probe else unchanged(session, plan)
    method, because = (plan.method, plan.because) if plan.method else _tried(session, candidates)
    if method != "probe" and not (plan.probe and session.task.stop_early):
        candidates.append(descend(session, method, plan.start, candidates[0].probe if candidates else None))
    return _chosen(session, plan, candidates, because)


def _resumed(session: Session, plan: decisions.Plan, checkpoint: Checkpoint) -> tuple[list[Candidate], str]:
    """Go on with the training of a checkpoint, whose method is decided, and keep its probe for the comparison."""
    method: Method = "fine_tune" if checkpoint.recipe.start else "scratch"
    head = Probe.of_tensors(checkpoint.probe) if checkpoint.probe else None
    if checkpoint.training_images:
        session.training_images = TrainingImages.model_validate_json(checkpoint.training_images)
    candidates = [probed(session, plan.start or "", head, None)] if head else unchanged(session, plan)
    if plan.trial and method == "scratch":
        candidates.append(short_training(session, candidates[0].accuracy))
    candidates.append(descend(session, method, checkpoint.recipe.start, head))
    return candidates, plan.because or "the method was decided before the training was interrupted"


def _chosen(session: Session, plan: decisions.Plan, candidates: list[Candidate], because: str) -> Candidate:
    """Return the best candidate, with the reasons for its method and its start."""
    best = max(candidates, key=lambda candidate: candidate.rank)
    wanted = session.spec.method
    if wanted is not None:
        because = f"the request says {wanted}, and {_instead(candidates)}"
    if len(candidates) > 1:
        compared = ", ".join(f"{c.label} {c.accuracy or 0:.1%}" for c in candidates)
        because = f"validation accuracy: {compared}; {because}"
    choices = [Choice(what="method", value=best.method, because=because)] if wanted != best.method else []
    if plan.start and session.spec.init_from is None and best.method != "scratch":
        because = "a network that has seen a million photos needs few of yours"
        choices.append(Choice(what="init_from", value=plan.start, because=because))
    features = next((candidate.features for candidate in candidates if candidate.features), None)
    return replace(
        best,
        choices=(*choices, *best.choices),
        features=features,
        epochs=candidates[-1].epochs if best.unchanged else best.epochs,
        training_images=session.training_images,
    )


def _instead(candidates: list[Candidate]) -> str:
    """Return why another method than that of the request has the best model."""
    return "this is better" if len(candidates) > 1 else "it was asked to stop before that began"


def _tried(session: Session, candidates: list[Candidate]) -> tuple[Method, str]:
    """Decide the method by a short training from scratch, which becomes a candidate; return its reason, too."""
    probe_accuracy = candidates[0].accuracy
    if probe_accuracy is None:
        return "probe", "without a validation split, nothing else can be compared"
    if session.task.stop_early:
        return "probe", "the training was asked to stop early"
    candidates.append(short_training(session, probe_accuracy))
    if decisions.worth_training(candidates[1].accuracy or 0.0, probe_accuracy):
        return "scratch", "the short training is close enough to try a full one"
    return "fine_tune" if session.spec.budget else "probe", "the short training is too far behind to try a full one"

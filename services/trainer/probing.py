"""The first way to a model: a linear head on the features of a network."""

from dataclasses import replace
from pathlib import Path

from contract.choices import Choice
from contract.datasets import Split
from services.trainer import decisions, out_of_fold, probe
from services.trainer.backbones.brought import Graph
from services.trainer.candidates import Candidate
from services.trainer.feature_source import EXTRACTED, FeatureSource
from services.trainer.probe import Probe
from services.trainer.session import Session


def fit_probe(session: Session, start: str) -> Candidate:
    """Fit a linear head to the features of a network."""
    state = session.start(start)
    body = session.task.folder / "body.onnx"
    session.task.report(0.0, "getting the pretrained network ready")
    state.write_body(session.data.shape, session.labels, session.preprocessing_of(state), body)
    source = FeatureSource(session.task, session.spec, session.data, session.index, body)
    cache = source.cache(start, session.preprocessing_of(state))
    features = source.features(cache)
    balanced = (session.spec.class_weights or decisions.balance(session.facts)) == "balanced"
    session.task.report(EXTRACTED, "learning the classes from what the network sees")
    train = features[Split.TRAIN]
    head = probe.fit(train, features[Split.VAL], session.data.classes, balanced)
    session.task.report(EXTRACTED, "looking for wrong labels among the training images")
    numbers = source.samples()[Split.TRAIN]
    session.training_images = out_of_fold.judged(train, numbers, session.labels, head.penalty, balanced, session.names)
    return replace(probed(session, start, head, body), features=cache.save() if cache else None)


def probed(session: Session, start: str, head: Probe, body: Path | None) -> Candidate:
    state = session.start(start)
    because = f"of {len(probe.PENALTIES)} penalties, this one has the lowest loss on validation, {head.loss:.3f}"
    return Candidate(
        method="probe",
        label="probe",
        network=state.classifier(session.data.shape, session.labels, head),
        blueprint=state.blueprint_of(session.data.shape, session.data.classes),
        data=session.data_of(state),
        choices=(Choice(what="penalty", value=head.penalty, because=because),),
        accuracy=head.accuracy if len(session.data.val) else None,
        loss=head.loss,
        probe=head,
        body=body,
        body_parameters=state.parameters if isinstance(state, Graph) else 0,
    )

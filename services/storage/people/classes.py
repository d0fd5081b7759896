"""The classes that a reviewer chooses from: those of the item's dataset and model, and new ones of other answers."""

from difflib import get_close_matches

from sqlalchemy import Connection, select

from contract.errors import Invalid
from contract.labels import normalised_label
from contract.references import Reference
from contract.reviews import ReviewItem
from services.storage.tables import dataset_versions, model_versions, review_answers, review_items

ALIKE = 0.8  # of difflib's ratio, from which a new class may be a known one that was mistyped
MOST_NEW = 1000
MOST_READ = 5000  # newest answers of a project, among which new classes are looked for


def classes_of(connection: Connection, project: str, item: ReviewItem) -> tuple[str, ...]:
    """Return the classes in the order of the manifests, then new ones by name; of a deleted model its guesses."""
    return tuple(dict.fromkeys([*_known(connection, project, item), *_new_classes(connection, project, item)]))


def require_class(connection: Connection, project: str, item: ReviewItem, label: str) -> None:
    """Raise Invalid for a label that is none of the item's classes but resembles one."""
    known = _known(connection, project, item)
    if label not in map(normalised_label, known):  # what people added is read only for a label that is in no manifest
        require_spelling(label, (*known, *_new_classes(connection, project, item)))


def _known(connection: Connection, project: str, item: ReviewItem) -> tuple[str, ...]:
    """Return the classes of the manifests, and those that the model guessed."""
    known: list[str] = []
    if item.dataset is not None:
        reference, table = Reference.parse(item.dataset), dataset_versions.c
        same = (table.project == project) & (table.name == reference.name) & (table.version == reference.version)
        known += connection.execute(select(table.manifest["classes"]).where(same)).scalar_one_or_none() or ()
    if item.model is not None and item.model_version is not None:
        version = model_versions.c
        same = (version.project == project) & (version.name == item.model) & (version.version == item.model_version)
        known += connection.execute(select(version.manifest["labels"]).where(same)).scalar_one_or_none() or ()
    return (*known, *(label for label, _ in item.guess))


def require_spelling(label: str, classes: tuple[str, ...]) -> None:
    """Raise Invalid for a label that is none of the classes but resembles one."""
    if label in map(normalised_label, classes):
        return
    folded = {name.casefold(): name for name in reversed(classes)}
    near = get_close_matches(label.casefold(), folded, n=1, cutoff=ALIKE)
    if near:
        raise Invalid(
            f'there is no class {label!r}; did you mean {folded[near[0]]!r}? If it is a new class, send "new": true'
        )


def _new_classes(connection: Connection, project: str, item: ReviewItem) -> list[str]:
    """Return the labels that people gave lately to items of the same dataset, or else of the same model."""
    table, answer = review_items.c, review_answers.c
    labels = (
        select(answer.item_id, answer.label)
        .where(answer.project == project, answer.label.is_not(None), answer.undone_at.is_(None))
        .order_by(answer.at.desc())
        .limit(MOST_READ)
        .subquery()
    )
    same = table.dataset == item.dataset if item.dataset is not None else table.model == item.model
    given = select(labels.c.label).join(review_items, labels.c.item_id == table.id).where(same).distinct()
    return list(connection.execute(given.order_by(labels.c.label).limit(MOST_NEW)).scalars())

"""How far the review queue is: its items by state and source, what each person did, and how much people agree."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, case, func, select

from contract.reviews import PairAgreement, ReviewerProgress, ReviewProgress, ReviewSource, ReviewState
from services.storage.tables import review_answers, review_items

MOST_COMPARED = 20_000  # newest answers of a project, for the agreement of people
MOST_PEOPLE = 200

Labels = tuple[str | None, str | None]  # of two people: a class, or None for none of the classes
Pair = tuple[str, str]  # the ids of two people


def progress_of(connection: Connection, project: str, now: datetime) -> ReviewProgress:
    """Return the numbers of a project's queue."""
    table = review_items.c
    mine = table.project == project
    applied = table.applied_to.is_not(None)
    groups = select(table.state, table.source, applied, func.count()).where(mine)
    counts: Counter[ReviewState] = Counter()
    by_source: defaultdict[ReviewSource, Counter[ReviewState]] = defaultdict(Counter)
    not_applied = 0
    for state, source, is_applied, count in connection.execute(groups.group_by(table.state, table.source, applied)):
        counts[state] += count
        by_source[source][state] += count
        not_applied += count if state == "done" and not is_applied else 0
    leased = select(func.count()).where(mine, table.state == "open", table.leased_until > now)
    open_disagreements = disagreements(project).subquery()
    pairs = pairs_of(connection, project)
    return ReviewProgress(
        counts=dict(counts),
        by_source={source: dict(states) for source, states in by_source.items()},
        leased=connection.execute(leased).scalar_one(),
        disagreements=connection.execute(select(func.count()).select_from(open_disagreements)).scalar_one(),
        not_applied=not_applied,
        reviewers=_reviewers(connection, project),
        pairs=pairs,
        kappa=mean_kappa(pairs),
    )


def mean_kappa(pairs: Sequence[PairAgreement]) -> float | None:
    """Return the mean of the pairs' kappas, weighted by their items; None without any."""
    measured = [(pair.kappa, pair.items) for pair in pairs if pair.kappa is not None]
    items = sum(count for _, count in measured)
    return sum(kappa * count for kappa, count in measured) / items if items else None


def cohens_kappa(answers: Mapping[Labels, int]) -> float | None:
    """Return how much two people agree beyond chance, by how often they gave each two labels to the same item.

    None without answers, or if chance alone would agree always. kappa = (p_o - p_e) / (1 - p_e), where p_o is the share
    of equal answers, and p_e the share that would be equal if each person chose classes at random, as often as in their
    answers. Jacob Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement
    20(1), 1960.
    """
    firsts, seconds = Counter[str | None](), Counter[str | None]()
    for (first, second), count in answers.items():
        firsts[first] += count
        seconds[second] += count
    total = firsts.total()
    if not total:
        return None
    observed = sum(count for (first, second), count in answers.items() if first == second) / total
    expected = sum(firsts[label] * seconds[label] for label in firsts) / total**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _reviewers(connection: Connection, project: str) -> tuple[ReviewerProgress, ...]:
    """Return what each person has answered, the most active first; at most MOST_PEOPLE."""
    table = review_answers.c
    query = (
        select(
            table.reviewer,
            func.max(table.reviewer_name).label("reviewer_name"),
            func.sum(case((table.label.is_not(None), 1), else_=0)).label("labels"),
            func.sum(case((table.not_any, 1), else_=0)).label("not_any"),
            func.sum(case((table.skip, 1), else_=0)).label("skipped"),
            func.max(table.at).label("last_at"),
        )
        .where(table.project == project, table.undone_at.is_(None))
        .group_by(table.reviewer)
        .order_by(func.count().desc(), table.reviewer)
        .limit(MOST_PEOPLE)
    )
    return tuple(ReviewerProgress.model_validate(dict(row)) for row in connection.execute(query).mappings())


def disagreements(project: str) -> "Select[str]":
    """Select the open items with enough answers, but different ones."""
    item, answer = review_items.c, review_answers.c
    own = (answer.item_id == item.id) & answer.undone_at.is_(None) & answer.skip.is_(False)
    given = select(func.count()).where(own).scalar_subquery()
    return select(item.id).where(item.project == project, item.state == "open", item.votes > 1, given >= item.votes)


def pairs_of(connection: Connection, project: str) -> tuple[PairAgreement, ...]:
    """Return the agreement of each two people who answered the same items; skipped ones do not count.

    The items are those of the newest MOST_COMPARED answers of the project.
    """
    table, item = review_answers.c, review_items.c
    newest = select(table.item_id).where(table.project == project, table.undone_at.is_(None))
    newest = newest.order_by(table.at.desc()).limit(MOST_COMPARED)
    items = select(newest.subquery().c.item_id).distinct().subquery()
    given, other = review_answers.alias("given"), review_answers.alias("other")
    same = (given.c.item_id == other.c.item_id) & (given.c.reviewer < other.c.reviewer)
    standing = (answer for one in (given, other) for answer in (one.c.undone_at.is_(None), one.c.skip.is_(False)))
    keys = (given.c.reviewer, other.c.reviewer, given.c.label, other.c.label)
    names = (func.max(given.c.reviewer_name), func.max(other.c.reviewer_name))
    query = (
        select(*keys, *names, func.count())
        .select_from(items)
        .join(review_items, item.id == items.c.item_id)
        .join(given, given.c.item_id == items.c.item_id)
        .join(other, same)
        .where(item.votes > 1, *standing)
        .group_by(*keys)
    )
    answers: defaultdict[Pair, Counter[Labels]] = defaultdict(Counter)
    shown: dict[Pair, tuple[str, str]] = {}
    for *pair, label, other_label, name, other_name, count in connection.execute(query):
        answers[tuple(pair)][label, other_label] = count
        shown[tuple(pair)] = (name, other_name)
    return tuple(
        PairAgreement(
            reviewers=pair,
            reviewer_names=shown[pair],
            items=counts.total(),
            agreed=sum(count for (first, second), count in counts.items() if first == second),
            kappa=cohens_kappa(counts),
        )
        for pair, counts in sorted(answers.items())
    )

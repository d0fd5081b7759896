"""What applications learn later about images that were predicted."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from contract.errors import Invalid
from contract.reviews import FeedbackRequest, FeedbackResult, ReviewAnswer, ReviewItem
from services.storage.database import Database
from services.storage.inserts import insert_for
from services.storage.people.answers import insert_answer, settle
from services.storage.people.classes import require_class
from services.storage.people.rows import Reviewer, answers_of, find, item_of
from services.storage.tables import feedback, review_items

EARLIER = timedelta(minutes=10)  # a sample waits for seconds; older feedback may be about a request with the same id


class Feedback:
    """The feedback of a project's applications; raises DatabaseUnavailable."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def give(self, request: FeedbackRequest, client: Reviewer) -> FeedbackResult:
        """Keep what an image shows; if it was sampled for review, this is the client's answer to that item.

        People alone decide images that were drawn at random: those with feedback are no random sample.

        Later feedback about the same prediction replaces the earlier one. Raises Invalid for a mistyped class.
        """
        now = self._database.now()
        with self._database.write() as connection:
            row = self._sample(connection, request.prediction)
            note = "the feedback is kept; the image was not sampled for review, so there is no image to learn from"
            if row is not None:
                note = self._answer(connection, row, request, client, now)
            item_id = None if row is None else row["id"]
            self._keep(connection, request, client, item_id, now)
        return FeedbackResult(prediction=request.prediction, label=request.label, review=item_id, note=note)

    def _sample(self, connection: Connection, prediction: str) -> RowMapping | None:
        """Return the newest item of a prediction, locked; clients choose request ids, and may repeat one."""
        same = (review_items.c.project == self._project) & (review_items.c.prediction == prediction)
        query = select(review_items).where(same).order_by(review_items.c.id.desc()).limit(1).with_for_update()
        return connection.execute(query).mappings().one_or_none()

    def _answer(
        self, connection: Connection, row: RowMapping, request: FeedbackRequest, client: Reviewer, now: datetime
    ) -> str:
        """Answer the item, unless people have decided it; return what to tell the client."""
        item_id, given = row["id"], answers_of(connection, [row["id"]])[row["id"]]
        if not request.new:
            require_class(connection, self._project, item_of(row, kind=ReviewItem), request.label)
        if row["source"] == "random":
            return "the feedback is kept; the image was drawn at random, and people decide about such images"
        if row["state"] == "expired":
            return "the feedback is kept; the image was sampled for review, but its copy has expired"
        if row["applied_to"] is not None:
            return f"the feedback is kept; {row['applied_to']} has the image with the answer that was given before"
        if row["state"] == "done" and all(answer.reviewer != client.id for answer in given):
            return "the feedback is kept; people had decided the image before, and their answer stays"
        insert_answer(connection, self._project, item_id, client, ReviewAnswer(label=request.label), now)
        settled = settle(connection, self._project, item_id, now, release=False)
        return "the image is reviewed" if settled.state == "done" else "it counts as one answer; another person decides"

    def _keep(
        self, connection: Connection, request: FeedbackRequest, client: Reviewer, item_id: str | None, now: datetime
    ) -> None:
        values: dict[str, Any] = {"label": request.label, "reviewer": client.id, "reviewer_name": client.name}
        values |= {"at": now, "item_id": item_id}
        new = insert_for(connection, feedback).values(project=self._project, prediction=request.prediction, **values)
        connection.execute(new.on_conflict_do_update(index_elements=["project", "prediction"], set_=values))


def answer_by_earlier_feedback(connection: Connection, project: str, samples: Mapping[str, str], now: datetime) -> None:
    """Answer new samples by feedback that was faster than they: `samples` has the items' ids by prediction.

    Feedback with a mistyped class stays without an item. Images that were drawn at random are left to people.
    """
    table = feedback.c
    waiting = (table.project == project) & table.prediction.in_(samples) & table.item_id.is_(None)
    waiting &= table.at >= now - EARLIER
    for row in connection.execute(select(feedback).where(waiting)).all():
        item_id = samples[row.prediction]
        item = item_of(find(connection, project, item_id), kind=ReviewItem)
        with suppress(Invalid):
            require_class(connection, project, item, row.label)
            if item.source != "random":
                client = Reviewer(row.reviewer, row.reviewer_name)
                insert_answer(connection, project, item_id, client, ReviewAnswer(label=row.label), now)
                settle(connection, project, item_id, now)
            same = (table.project == project) & (table.prediction == row.prediction)
            connection.execute(update(feedback).where(same).values(item_id=item_id))

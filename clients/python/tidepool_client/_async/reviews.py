"""The review queue: images whose label people confirm or correct."""

from collections.abc import AsyncIterator
from typing import Any

from contract.reviews import (
    FeedbackResult,
    LeasedReview,
    ReviewBatch,
    ReviewItem,
    ReviewProgress,
    ReviewSource,
    ReviewState,
    SourceResult,
)
from tidepool_client._async.transport import AsyncTransport
from tidepool_client.references import path
from tidepool_client.responses import given, parsed


class AsyncReviews:
    """`client.reviews`; reviewing needs a key with the scope `review`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def next(self, count: int = 1, *, model: str | None = None, dataset: str | None = None) -> ReviewBatch:
        """Get images to review, the most doubtful first. They are yours for two minutes.

        If there are none, `reason` says why.

        >>> batch = await client.reviews.next()
        >>> [item] = batch.items
        >>> item.label_now, item.guess, item.classes
        ('cat', (('dog', 0.75), ('cat', 0.25)), ('cat', 'dog'))
        >>> reviewed = await client.reviews.answer(item, "dog")
        >>> reviewed.state, reviewed.label
        ('done', 'dog')
        """
        params = given(count=count, model=model, dataset=dataset)
        response = await self._http.call("GET", path("reviews", "next"), params=params, repeatable=False)
        return parsed(ReviewBatch, response)

    async def answer(
        self,
        item: LeasedReview | ReviewItem | str,
        label: str | None = None,
        *,
        lease: str | None = None,
        not_any: bool = False,
        skip: bool = False,
        new: bool = False,
    ) -> ReviewItem:
        """Answer an item that you hold: its class, that it shows none of the classes, or that you cannot tell.

        A class that resembles a known one must be confirmed as `new`. `item` may also be an id, with its `lease`.
        """
        item_id, own = (item, None) if isinstance(item, str) else (item.id, item.lease)
        body: dict[str, Any] = given(lease=lease or own, label=label)
        body |= {name: True for name, flag in (("not_any", not_any), ("skip", skip), ("new", new)) if flag}
        return parsed(ReviewItem, await self._http.call("POST", path("reviews", item_id), json=body))

    async def extend(self, item: LeasedReview | ReviewItem, *, seconds: int | None = None) -> ReviewItem:
        """Hold an item for two minutes from now on, or for `seconds`; 0 gives it back."""
        body = {"lease": item.lease} | given(seconds=seconds)
        return parsed(ReviewItem, await self._http.call("POST", path("reviews", item.id, "lease"), json=body))

    async def undo(self) -> ReviewItem:
        """Take back your last answer, and hold the item again, unless somebody else does; repeat to go further back."""
        return parsed(ReviewItem, await self._http.create(path("reviews", "undo")))

    async def image(self, item_id: str) -> bytes:
        """Return the image of an item, in a format that browsers show."""
        return (await self._http.request("GET", path("reviews", item_id, "image"))).content

    async def list(
        self,
        *,
        state: ReviewState | None = None,
        source: ReviewSource | None = None,
        model: str | None = None,
        dataset: str | None = None,
        disagreement: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[ReviewItem]:
        """Yield items with people's answers, newest first; with `disagreement`, open ones with different answers.

        >>> [item.state async for item in client.reviews.list(dataset="pets")]
        ['open']
        """
        params = given(state=state, source=source, model=model, dataset=dataset, disagreement=disagreement or None)
        async for item in self._http.pages(ReviewItem, path("reviews"), limit, params):
            yield item

    async def progress(self) -> ReviewProgress:
        """Return how many images wait and were reviewed, by whom, and how much people agree."""
        return parsed(ReviewProgress, await self._http.call("GET", path("reviews", "progress")))

    async def add_label_errors(
        self, *, evaluation: str | None = None, dataset: str | None = None, limit: int = 200, votes: int = 1
    ) -> SourceResult:
        """Add images whose label is probably wrong, found by an evaluation's job, or by the training on a dataset."""
        found_by = given(evaluation=evaluation, dataset=dataset)
        return await self._add({"source": "label_errors", "limit": limit, "votes": votes} | found_by)

    async def add_predictions(
        self, job_id: str, *, below: float = 0.6, keep_days: int = 30, limit: int = 200, votes: int = 1
    ) -> SourceResult:
        """Add images of a batch prediction whose score is below `below`, the lowest first."""
        options = {"below": below, "keep_days": keep_days, "limit": limit, "votes": votes}
        return await self._add({"source": "predictions", "job": job_id} | options)

    async def add_duplicates(self, dataset: str, *, limit: int = 200, votes: int = 1) -> SourceResult:
        """Add images that a dataset has several times, with different labels.

        >>> (await client.reviews.add_duplicates("pets")).matching
        0
        """
        return await self._add({"source": "duplicates", "dataset": dataset, "limit": limit, "votes": votes})

    async def feedback(self, prediction: str, label: str, *, new: bool = False) -> FeedbackResult:
        """Report the true class of an image that was predicted; `prediction` is the id in the answer.

        >>> feedback = await client.reviews.feedback("0123456789abcdef", "cat")
        >>> feedback.review is None, feedback.note
        (True, 'the feedback is kept; the image was not sampled for review, so there is no image to learn from')
        """
        body: dict[str, Any] = {"prediction": prediction, "label": label, "new": new}
        return parsed(FeedbackResult, await self._http.call("POST", path("feedback"), json=body))

    async def _add(self, body: dict[str, Any]) -> SourceResult:
        return parsed(SourceResult, await self._http.create(path("reviews", "sources"), json=body))

"""Lists are iterators that fetch page after page."""

from collections.abc import Iterator

import httpx
import pytest

from tests.unit.clients.test_client import job
from tidepool_client import Client


class Pages:
    """Jobs in pages of at most two; `cursors` holds the cursor and the limit of each request."""

    def __init__(self, count: int) -> None:
        self.cursors: list[tuple[str | None, str]] = []
        self._jobs = [job(id=f"j{number}") for number in range(count)]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        self.cursors.append((params.get("cursor"), params["limit"]))
        start = int(params.get("cursor", 0))
        end = start + min(2, int(params["limit"]))
        following = str(end) if end < len(self._jobs) else None
        return httpx.Response(200, json={"items": self._jobs[start:end], "next": following})

    def ids(self, limit: int | None = None) -> Iterator[str]:
        client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(self))
        return (job.id for job in client.jobs.list(kind="train", limit=limit))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_all_items_come_in_order(count: int) -> None:
    assert list(Pages(count).ids()) == [f"j{number}" for number in range(count)]


def test_a_page_is_fetched_when_it_is_needed() -> None:
    pages = Pages(5)
    ids = pages.ids()
    assert pages.cursors == []
    assert [next(ids), next(ids)] == ["j0", "j1"]
    assert pages.cursors == [(None, "200")]
    assert next(ids) == "j2"
    assert pages.cursors == [(None, "200"), ("2", "200")]


@pytest.mark.parametrize(
    ("limit", "cursors"),
    [(0, []), (1, [(None, "1")]), (3, [(None, "3"), ("2", "3")]), (300, [(None, "200"), ("2", "200"), ("4", "200")])],
)
def test_a_limit_ends_the_iteration(limit: int, cursors: list[tuple[str | None, str]]) -> None:
    pages = Pages(5)
    assert list(pages.ids(limit)) == [f"j{number}" for number in range(min(limit, 5))]
    assert pages.cursors == cursors

"""/v1/models/{name}/predict"""

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import BrokerUnavailable, TidepoolError
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.gateway.serving import predictor
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.problems import problem
from tests.support.publication import publish
from tests.unit.gateway.backends import BAD_IMAGE, SETTINGS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict"
PNG = {"Content-Type": "image/png"}


def parts(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", ("image", image)) for image in images]


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp", "image/bmp", "IMAGE/PNG; q=1"])
async def test_one_image_is_classified(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post(PREDICT, content=b"image", headers={"Content-Type": media_type})

    assert response.status_code == 200
    answer = response.json()
    assert (answer["model"], answer["version"]) == ("pet-cnn", 1)
    assert answer["predictions"] == [{"label": "cat", "score": 0.75}]
    assert answer["timing_ms"]["inference"] == 1.5
    assert answer["timing_ms"]["total"] >= answer["timing_ms"]["queue"] >= 0


async def test_top_k_returns_the_best_classes(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PREDICT}?top_k=1000", content=b"image", headers=PNG)

    assert [guess["label"] for guess in response.json()["predictions"]] == ["cat", "dog"]


async def test_one_bad_image_does_not_fail_the_others(client: httpx.AsyncClient) -> None:
    response = await client.post(PREDICT, files=parts(b"one", b"bad", b"three"))

    # then each image has its own result, in order
    assert response.status_code == 200
    one, bad, three = response.json()["results"]
    ids = [result.pop("id") for result in (one, bad, three)]
    assert one == three == {"predictions": [{"label": "cat", "score": 0.75}], "error": None}
    assert bad == BAD_IMAGE.model_dump(mode="json")
    assert len(set(ids)) == 3


async def test_a_large_request_sends_a_few_images_at_a_time(
    client: httpx.AsyncClient, channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a request with more images than are sent at a time
    monkeypatch.setattr(predictor, "MAX_CONCURRENT_IMAGES", 3)

    response = await client.post(PREDICT, files=parts(*[b"one"] * 10))

    # then no batch has more than that
    assert len(response.json()["results"]) == 10
    assert max(len(batch.questions) for batch in channel.sent) == 3


async def test_every_prediction_has_an_id_that_begins_with_the_id_of_its_request(client: httpx.AsyncClient) -> None:
    one = await client.post(PREDICT, content=b"image", headers=PNG | {"X-Request-ID": "trace-7"})
    two = await client.post(PREDICT, files=parts(b"one", b"bad"), headers={"X-Request-ID": "trace-8"})
    unnamed = await client.post(PREDICT, content=b"image", headers=PNG)

    assert one.json()["id"] == "trace-7"
    assert [result["id"] for result in two.json()["results"]] == ["trace-8-0", "trace-8-1"]
    assert unnamed.json()["id"] == unnamed.headers["X-Request-ID"]


async def test_a_form_with_one_image_returns_a_list_of_results(client: httpx.AsyncClient) -> None:
    assert len((await client.post(PREDICT, files=parts(b"one"))).json()["results"]) == 1


async def test_a_single_bad_image_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(PREDICT, content=b"bad", headers=PNG)

    assert problem(response, 422, "bad_image").detail == "the file is damaged"


@pytest.mark.parametrize("extra", [1, 2, 20])
async def test_too_many_images_in_one_request_are_refused(client: httpx.AsyncClient, extra: int) -> None:
    most = SETTINGS.max_images

    assert len((await client.post(PREDICT, files=parts(*[b""] * most))).json()["results"]) == most
    response = await client.post(PREDICT, files=parts(*[b""] * (most + extra)))

    assert str(most) in problem(response, 413, "too_large").detail


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"files": {"photo": b"one"}}, "parts called `image`"),
        ({"files": [*parts(b"one"), ("label", (None, "cat"))]}, "parts called `image`"),
        ({"files": {"image": (None, "text")}}, "must be a file"),
        ({"files": [("image", (None, "text"))] * 9}, "Too many fields"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "Missing boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, "Invalid multipart"),
        ({"content": b"--b--", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, "parts called `image`"),
    ],
    ids=["unknown part", "extra part", "no file", "many fields", "no boundary", "no parts", "empty"],
)
async def test_a_malformed_form_is_refused(client: httpx.AsyncClient, request_: dict[str, object], reason: str) -> None:
    response = await client.post(PREDICT, **request_)  # type: ignore[arg-type]

    assert reason in problem(response, 400, "malformed").detail


@pytest.mark.parametrize(
    "media_type",
    [
        "image/jpg",
        "image/gif",
        "IMAGE/PNG; charset=utf-8",
        "image/*",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        None,
    ],
)
async def test_the_content_decides_about_the_format(client: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}

    response = await client.post(PREDICT, content=b"image", headers=headers)

    assert response.json()["predictions"] == [{"label": "cat", "score": 0.75}]


async def test_parts_need_no_media_type(client: httpx.AsyncClient) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nimage\r\n--b--\r\n'

    response = await client.post(PREDICT, content=part, headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert len(response.json()["results"][0]["predictions"]) == 1


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "video/mp4"])
async def test_another_media_type_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post(PREDICT, content=b"x", headers={"Content-Type": media_type})

    assert "image/png" in problem(response, 415, "unsupported_media").detail


async def test_the_version_is_the_newest_or_the_requested_one(client: httpx.AsyncClient, stores: Stores) -> None:
    # given two versions, and an alias of the first
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)

    # then each request is answered by the version that it names
    for query, version in (("", 2), ("?version=1", 1), ("?version=2", 2), ("?alias=production", 1)):
        response = await client.post(PREDICT + query, content=b"image", headers=PNG)
        assert response.json()["version"] == version, query


async def test_a_version_together_with_an_alias_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PREDICT}?version=1&alias=production", content=b"image", headers=PNG)

    assert problem(response, 422, "invalid").detail == "give version or alias, not both"


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("/v1/models/none/predict", "none"),
        (f"{PREDICT}?version=2", "pet-cnn@2"),
        (f"{PREDICT}?alias=production", "pet-cnn@production"),
    ],
)
async def test_an_unknown_reference_is_not_found(client: httpx.AsyncClient, path: str, reference: str) -> None:
    response = await client.post(path, content=b"image", headers=PNG)

    assert problem(response, 404, "not_found").detail == f"there is no model {reference}"


@pytest.mark.parametrize("query", ["top_k=0", "top_k=1001", "version=0", "version=x", "alias=UPPER"])
async def test_an_invalid_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    response = await client.post(f"{PREDICT}?{query}", content=b"image", headers=PNG)

    assert problem(response, 422, "invalid").errors[0].where == f"query.{query.partition('=')[0]}"


async def test_a_request_without_an_answer_in_time_fails(client: httpx.AsyncClient, channel: MemoryChannel) -> None:
    # given no replica
    channel.held = True

    # when the client sets a short timeout
    response = await client.post(PREDICT, content=b"image", headers=PNG | {"X-Request-Timeout": "0.01"})

    # then the request fails
    assert "no replica answered within" in problem(response, 504, "deadline_exceeded").detail


@pytest.mark.parametrize("seconds", ["0", "-1", "301", "nan", "inf", "soon"])
async def test_an_invalid_timeout_is_refused(client: httpx.AsyncClient, seconds: str) -> None:
    response = await client.post(PREDICT, content=b"image", headers=PNG | {"X-Request-Timeout": seconds})

    assert problem(response, 422, "invalid").errors[0].where == "header.x-request-timeout"


@pytest.mark.parametrize("error", [BrokerUnavailable("the broker does not answer"), TidepoolError("an internal error")])
async def test_an_error_of_the_pool_is_passed_on(
    client: httpx.AsyncClient, channel: MemoryChannel, error: TidepoolError
) -> None:
    def fail(*_: object) -> BatchAnswers:
        raise error

    channel.respond = fail

    result = problem(await client.post(PREDICT, content=b"image", headers=PNG), error.status, error.code)

    assert result.detail == error.message


FIELD = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n%s\r\n--b--\r\n'


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "undefined", "utf-7", "zlib", "none-such", '"punycode"', "x" * 99]
)
async def test_texts_in_an_unusual_charset_are_not_decoded(client: httpx.AsyncClient, charset: str) -> None:
    """A megabyte of punycode would take minutes; undefined and idna raise errors that the framework does not expect."""
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}

    response = await client.post(PREDICT, content=FIELD % (b"a-" + b"b" * 5000), headers=headers)

    assert "UTF-8" in problem(response, 415, "unsupported_media").detail


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii", "ISO-8859-1"])
async def test_a_usual_charset_is_accepted(client: httpx.AsyncClient, charset: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nimage\r\n--b--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}

    assert (await client.post(PREDICT, content=part, headers=headers)).status_code == 200

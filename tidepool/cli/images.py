"""`tidepool images`: what holds an image, and its erasure."""

from collections.abc import Iterator
from typing import Annotated

import typer

from contract.image_index import ImageHolding
from contract.kinds.erase import EraseResult
from tidepool.cli.confirming import Yes, confirmed
from tidepool.cli.connection import Project, connected
from tidepool.cli.following import follow
from tidepool.cli.image_files import hash_of
from tidepool.cli.output import Json, file_size, note, print_json, say
from tidepool.cli.root import command, group

images = group("images", "Show what holds an image, and erase it everywhere.")

MOST_SHOWN = 20  # places of an image

Image = Annotated[
    str, typer.Argument(metavar="SHA256|FILE", help="The image: the SHA-256 of its file, or the file itself.")
]


@command("show", "tidepool images show cat-17.jpg", "tidepool images show cat-17.jpg --json", group=images)
def show(image: Image, project: Project = None, as_json: Json = False) -> None:
    """Show which datasets, models, predictions and evaluations hold an image.

    A file is hashed here and not sent. It must be the file that was uploaded: the same picture in another file is
    another image.
    """
    sha256 = hash_of(image)
    with connected(project) as client:
        holding = client.images.get(sha256)
    if as_json:
        print_json(holding)
        return
    say(*_lines(holding))


@command("rm", "tidepool images rm cat-17.jpg", f"tidepool images rm {'9' * 64} --yes", group=images)
def rm(
    image: Image,
    yes: Yes = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Erase an image everywhere in the project.

    It is removed from dataset versions, archives, outputs and lists, and cannot be brought back. Models that learned
    from it are marked: weights do not forget. The file on this machine stays.
    """
    sha256 = hash_of(image)
    with connected(project) as client:
        if not yes:
            note(*_lines(client.images.get(sha256)))
            if not confirmed("Erase it everywhere in the project? It cannot be brought back.", "Nothing was erased"):
                return
        job = follow(client, client.images.erase(sha256))
    if as_json:
        print_json(job)
        return
    result = EraseResult.model_validate(job.result)
    say(f"Erased {result.sha256}.", *_changes(result))


def _lines(holding: ImageHolding) -> Iterator[str]:
    yield holding.sha256
    for record in holding.occurrences[:MOST_SHOWN]:
        yield f"  {record.dataset}: {record.path} ({record.split}, {record.label})"
    if len(holding.occurrences) > MOST_SHOWN:
        yield f"  and {len(holding.occurrences) - MOST_SHOWN:,} more places"
    for title, names in (
        ("models that learned from it", holding.models),
        ("predictions", holding.predictions),
        ("evaluations", holding.evaluations),
        ("reviews", holding.reviews),
        ("not searched", holding.not_searched),
    ):
        if names:
            yield f"  {title}: {', '.join(names)}"
    if holding.erasing:
        yield f"  it is being erased: tidepool jobs logs -f {holding.erasing}"


def _changes(result: EraseResult) -> Iterator[str]:
    """Yield what an erasure has changed, and what it could not."""
    for version in result.versions:
        yield f"  {version.dataset}: {version.images} removed"
    for title, count in (
        ("archives", result.archives),
        ("outputs", len(result.outputs)),
        ("features", result.features),
    ):
        if count:
            yield f"  {title} made anew: {count}"
    if result.reviews:
        yield f"  reviews deleted: {result.reviews}"
    yield f"  {file_size(result.rewritten_bytes)} rewritten"
    if result.models:
        yield f"  models that learned from it, and were marked: {', '.join(result.models)}"
        yield f"  {result.note}"
    if result.kept_originals:
        yield f"  only you can delete, from your own bucket: {', '.join(result.kept_originals)}"
    if result.not_searched:
        yield f"  not searched, since they have no index of images: {', '.join(result.not_searched)}"

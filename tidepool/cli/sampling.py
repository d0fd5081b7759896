"""`tidepool review sampling`: which predictions of an alias go to the review queue."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.sampling import AliasSampling, SamplingMix
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.limits import given, size
from tidepool.cli.output import Json, file_size, note, print_json, say
from tidepool.cli.review import review
from tidepool.cli.root import command

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

_SHARE = re.compile(r" *(margin|random|disagreement)=([01]|[01]?\.[0-9]+) *")
MIX = "margin=0.7,random=0.2,disagreement=0.1"


@command(
    "sampling",
    "tidepool review sampling pets@production --rate 50",
    f"tidepool review sampling pets@production --mix {MIX}",
    "tidepool review sampling pets@production --off",
    group=review,
)
def sampling(
    alias: Annotated[str, typer.Argument(metavar="MODEL@ALIAS", help="An alias, like pets@production.")],
    rate: Annotated[int | None, typer.Option(metavar="NUMBER", help="Images a day.", min=1, max=100_000)] = None,
    mix: Annotated[
        str | None,
        typer.Option(metavar="SHARES", help=f"Shares of doubtful, random and disputed images, like {MIX}."),
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="Days that an unanswered image stays queued.", min=1, max=365),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Largest total size of the copies, like 1GiB.")
    ] = None,
    votes: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="How many people must agree.", min=1, max=2)
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Stop sampling.")] = False,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Copy doubtful images of an alias to the review queue, or show the settings.

    Sampling is off until an option turns it on. An option that is not given keeps its value, or gets the default. Only
    requests that name the alias are sampled.
    """
    model, _, name = alias.partition("@")
    if not name:
        raise WrongUsage(f"{alias} names no alias; write it as {model}@production.")
    changes = given(
        rate_per_day=rate,
        mix=None if mix is None else _shares(mix),
        keep_days=keep_days,
        max_bytes=None if max_bytes is None else size("--max-bytes", max_bytes),
        votes=votes,
    )
    if off and changes:
        raise WrongUsage("Use --off without other options.")
    with connected(project) as client:
        if off:
            client.sampling.stop(model, name)
            note(f"Predictions of {alias} are no longer sampled; images in the queue stay.")
            return
        shown = client.sampling.set(model, name, **_kept(client, model, name) | changes) if changes else None
        shown = shown or client.sampling.get(model, name)
    print_json(shown) if as_json else say(*_lines(shown))


def _kept(client: "Client", model: str, alias: str) -> dict[str, Any]:
    """Return the present settings, none if sampling is off."""
    from tidepool_client import NotFound

    try:
        present = client.sampling.get(model, alias)
    except NotFound:
        return {}
    return {**present.model_dump(include={"rate_per_day", "keep_days", "max_bytes", "votes"}), "mix": dict(present.mix)}


def _shares(text: str) -> dict[str, float]:
    parts = [_SHARE.fullmatch(part) for part in text.split(",")]
    shares = {part[1]: float(part[2]) for part in parts if part}
    if len(shares) < len(parts):
        raise WrongUsage(f"Write the shares like {MIX}.")
    return dict.fromkeys(SamplingMix.model_fields, 0.0) | shares


def _lines(shown: AliasSampling) -> list[str]:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in shown.mix)
    today, stored, most = shown.today, file_size(shown.stored_bytes), file_size(shown.max_bytes)
    return [
        f"Of {shown.model}@{shown.alias}, {shown.rate_per_day:,} images a day go to the review queue: {shares}",
        f"  today: {today.taken:,} of {today.seen:,} predictions",
        f"  copies: {stored} of at most {most}, kept {shown.keep_days} days",
    ]

"""The `tidepool` command: its panels of help, and how commands join it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

from tidepool.cli.exits import EXPLANATION, Commands

Function = TypeVar("Function", bound=Callable[..., None])

PANELS = {
    "Start here": ("up", "login", "open"),
    "From photos to predictions": ("upload", "train", "predict", "evaluate", "compare", "promote", "export"),
    "People and AI together": ("review", "pipelines"),
    "What there is": ("datasets", "images", "models", "drift", "jobs", "usage"),
    "Who may do what": ("whoami", "keys", "projects", "logout"),
    "The stack on this machine": (
        *("status", "doctor", "logs", "pools", "scale", "key"),
        *("backup", "restore", "down"),
    ),
    "More": ("demo", "simulate", "version"),
}
PANEL_OF = {command: panel for panel, commands in PANELS.items() for command in commands}
LONGEST = 90  # of a command's first sentence
HELP = """\
Turn a folder of labelled photos into a model that answers requests.

The shortest way, with a folder for each class in my-photos:

\b
  tidepool up
  tidepool train ./my-photos
  tidepool predict my-photos ./new/*.jpg

Commands talk to the stack that runs in this folder (`tidepool up`), or to the server that you have logged in to
(`tidepool login`); TIDEPOOL_URL and TIDEPOOL_API_KEY name another one.

Results go to stdout, progress and errors to stderr. Most commands have --json for scripts."""


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, so that the help is wrapped at the width of the terminal."""
    return "\n\n".join(
        paragraph if paragraph.startswith("\b") else paragraph.replace("\n", " ") for paragraph in text.split("\n\n")
    )


class PanelledCommands(Commands):
    """Lists the commands by panel, in their order."""

    def list_commands(self, ctx: Any) -> list[str]:
        order = list(PANEL_OF)
        return sorted(super().list_commands(ctx), key=order.index)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for panel, names in PANELS.items():
            _write_commands(formatter, panel, {name: self.commands[name] for name in names})


class CommandGroup(TyperGroup):
    """Lists the commands with their whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        _write_commands(formatter, "Commands", self.commands)


def _write_commands(formatter: Any, title: str, commands: Mapping[str, Any]) -> None:
    with formatter.section(title):
        formatter.write_dl([(name, command.get_short_help_str(LONGEST)) for name, command in commands.items()])


app = typer.Typer(
    cls=PanelledCommands,
    name="tidepool",
    help=_unwrapped(HELP),
    epilog=EXPLANATION,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def root() -> None:
    """The help is that of the app; a callback makes it a group even with one command."""


def command(name: str, *examples: str, group: typer.Typer = app) -> Callable[[Function], Function]:
    """Add a function as a command of the root or of a group; its docstring is the help, followed by the examples."""

    def add(function: Function) -> Function:
        panel = PANEL_OF[name] if group is app else None
        text = _unwrapped(inspect.cleandoc(function.__doc__ or ""))
        title = "Example:" if len(examples) == 1 else "Examples:"
        epilog = "\n".join(("\b", title, *(f"  {example}" for example in examples)))
        group.command(name, help=text, epilog=epilog, rich_help_panel=panel)(function)
        return function

    return add


class GroupWithDefault(CommandGroup):
    """Runs its first command if the first argument names none of its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [next(iter(self.commands)), *args]
        return list(super().parse_args(ctx, args))


def group(name: str, text: str, cls: type[CommandGroup] = CommandGroup) -> typer.Typer:
    """Add a group of commands to the root."""
    commands = typer.Typer(cls=cls, help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(commands, name=name, rich_help_panel=PANEL_OF[name])
    return commands

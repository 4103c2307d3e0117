"""The command. Thin, over the functions; a subcommand is imported when it is asked for, so help is instant."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Any

import click

from .. import __version__
from ..errors import InputError, SeewhyError, close_matches
from ..legible import legible, message
from .ending import ended_by_signals
from .streams import GONE, steady_streams

COMMANDS = {
    "explain": "Explain what a model said about photos, with every view at once.",
    "what-if": "Compare a photo's classes with and without something over it.",
    "channels": "List the channels that did most for a class, with what each added.",
    "visualize": "Make the image that a class is, to the network.",
    "audit": "Find what a model leans on, over a folder of photos.",
    "fix": "Train the last layer again, against a stamp that an audit found.",
    "answer": "Say whether a finding of an audit is spurious or part of the object.",
    "compare": "Put two models, or two audits, side by side.",
    "app": "Open a page that explains photos as they are dropped on it.",
    "report": "Draw the report again from what was saved.",
    "cache": "Show where pictures of classes are kept, or remove them.",
    "layers": "List a model's layers, with the one explained by default.",
    "methods": "List the methods: what they compute, and how they mislead.",
}
"""Subcommand -> its line in the help. Each lives in the module of its name, with an underscore for a hyphen."""


class _Lazy(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = [f"explain {name}"] if os.path.exists(name) else close_matches(name, COMMANDS)
            expected = None if close else ", ".join(COMMANDS)
            raise InputError(f"there is no command {name!r}", expected=expected, close=close)
        return super().resolve_command(context, arguments)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{name.replace('-', '_')}", __name__).command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="seewhy")
def seewhy() -> None:
    """See why your CNN decided, and what to change.

    \b
    seewhy explain cat.jpg                      all views of what the embedded model sees
    seewhy explain cat.jpg --target "tiger cat" why not, or why also, another class
    seewhy explain cat.jpg --versus lynx        why the predicted class rather than this one
    seewhy explain photos/                      a folder; named like classes, the wrong ones come first
    seewhy what-if cat.jpg --box 60,60,60,80    what if this part were not there
    seewhy explain cat.jpg --model torchvision:resnet50 --method grad_cam
    seewhy audit photos/                        what the model leans on, and where it fails
    seewhy app photos/                          a page in the browser; drop photos, drag masks
    """  # noqa: D301


def main(arguments: list[str] | None = None) -> None:
    """Run the command; without ``arguments``, those of the process, which then ends with it.

    Exit codes: 0 done, 2 the user's error, 1 anything else: interrupted, or what was to be printed could not be; 3
    where ``compare`` found something worse.
    """
    # Pillow says on stderr what it thinks of broken files; seewhy says it itself, in one line.
    warnings.filterwarnings("ignore", module="PIL")
    own = arguments is None
    with steady_streams(to_the_end=own) as (out, _), ended_by_signals(to_the_end=own):
        code = _code(arguments)
        out.flush()
        if out.error is not None and code == 0:
            code = 1
            if getattr(out.error, "errno", None) not in GONE:  # a reader that has gone knows
                click.echo(f"seewhy: error: stdout cannot be written: {legible(out.error)}", err=True)
    sys.exit(code)


def _code(arguments: list[str] | None) -> int:
    try:
        code: Any = seewhy.main(arguments, prog_name="seewhy", standalone_mode=False)
    except SeewhyError as error:
        if os.environ.get("SEEWHY_TRACEBACK"):
            raise
        return fail(str(error))
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_ = f"; {context.command_path} --help lists what there is" if context is not None else ""
        return fail(f"{error.format_message().rstrip('.')}{help_}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("seewhy: interrupted", err=True)
        return 1
    except Exception as error:
        if os.environ.get("SEEWHY_TRACEBACK"):
            raise
        fail(f"{type(error).__name__}: {error} (SEEWHY_TRACEBACK=1 shows where)")
        return 1
    return code if isinstance(code, int) else 0


def fail(what: str) -> int:
    """Say what was wrong, in one line; gives the exit code of a user's error."""
    click.echo(f"seewhy: error: {message(what)}", err=True)
    return 2

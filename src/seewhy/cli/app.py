"""seewhy app [PHOTO|DIR...]"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import webbrowser
from typing import Any

import click

from ..errors import InputError
from ..legible import in_one_line, message
from ..models.source import need
from .console import console
from .options import load_models, models_options, tell_notes
from .photos import Found, found_in, truths
from .streams import give_up_stdout, output

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("app", short_help="Open a page that explains photos as they are dropped on it.")
@click.argument("photos", nargs=-1, metavar="[PHOTO|DIR]...", type=click.Path(readable=False))
@models_options
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="0: any free one. Default: 8765, or the next "
              "that is free.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one lets other machines in, with the "
              "address that is printed.")  # fmt: skip
@click.option("--browser/--no-browser", default=True, help="Whether to open the page.")
def command(photos: tuple[str, ...], port: int | None, host: str, browser: bool, **given: Any) -> None:
    """Open a page in the browser: drop photos, choose classes, drag masks, watch images of classes form.

    The first line that is printed is the address; the page answers to nobody who does not have it. --model may be
    repeated: the models stand side by side. Of folders that are named like classes, the errors come first. Ctrl-C ends
    it.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        need(package, "app")
    from ..app.live import Live
    from ..app.photos import FolderPhoto
    from ..app.server import server
    from ..app.serving import PARTING, address, bound, serve

    found = _readable(photos)
    listening = bound(host, port)
    with console(error=True).status("Loading the model"):
        classifiers = load_models(given)
    for classifier in classifiers:
        tell_notes(classifier)
    known = [truths(found, classifier)[0] for classifier in classifiers]
    folder = [
        FolderPhoto(photo.path, os.path.basename(photo.path), tuple(each.get(photo.path) for each in known))
        for photo in found
    ]
    if host not in LOOPBACK:
        line = "other machines can reach this page: whoever has the address can use it, and can read what others do"
        click.echo(f"note: {line}", err=True)
    token, number = secrets.token_urlsafe(24), listening.getsockname()[1]
    where = address(host, number, token)
    give_up_stdout()
    live = Live(classifiers, folder)

    def started() -> None:
        click.echo(where, file=output())
        output().flush()
        click.echo("Ctrl-C ends it.", err=True)
        if browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(where,), daemon=True).start()

    try:
        serve(server(live, host=host, port=number, token=token), listening, started)
    finally:
        if not live.close(PARTING):
            # A foreign network does not come back; the interpreter cannot end in order while it runs.
            click.echo("note: the model did not come to an end; it was left", err=True)
            output().flush()
            sys.stderr.flush()
            os._exit(0)


def _readable(photos: tuple[str, ...]) -> list[Found]:
    """The photos that were named, and a line for each folder without any.

    Raises:
        InputError: a file does not exist.
    """
    found = found_in(photos)
    for photo in found:
        if photo.error:
            click.echo(f"note: {message(photo.error)}", err=True)
        elif not os.path.lexists(photo.path):
            raise InputError(f"{in_one_line(photo.path)} does not exist", expected="photos, or folders with photos")
    return [photo for photo in found if not photo.error]


def _has_screen() -> bool:
    """Without one a browser of the terminal's own could be opened, and take the terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

"""seewhy visualize"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from PIL import Image
from rich.progress import Progress

from .. import events
from ..errors import InputError
from ..exemplars import Looked
from ..gallery import Gallery, Wanted, Written, wanted_channel, wanted_class, wanted_layer
from ..gallery.video import ending_of
from ..legible import legible
from ..models import Classifier, load
from ..pictures import read_photo
from ..synthesis import Step
from ..synthesis.presets import find_preset
from .console import console, shown
from .options import foreign, load_model, model_options, tell_notes
from .places import output_folder
from .streams import output

TOLD = 64
"""Of an ascent, so many scores are shown: reading a number waits for the device."""


@click.command("visualize", short_help="Make the image that a class, or a channel, is to the network.")
@click.option("--target", "-t", "targets", multiple=True, metavar="NAME|INDEX", help="A class. May be repeated.")
@click.option("--layer", metavar="NAME", help="Instead of a class, or beside it: a layer; see `seewhy layers`.")
@click.option("--channel", "channels", multiple=True, type=click.IntRange(0), help="Of the layer; all of it if none.")
@model_options
@click.option("--preset", default="default", show_default=True, help="default, simonyan, yosinski, olah or maco.")
@click.option("--steps", type=click.IntRange(1), help="Default: the preset's.")
@click.option("--l2", type=click.FloatRange(0), help="Weight of the penalty, lambda. Default: the preset's.")
@click.option("--learning-rate", type=float, help="Default: the preset's.")
@click.option("--alpha", type=click.FloatRange(0), help="Paint only what matters: weight of the penalty on opacity.")
@click.option("--start", help="grey, noise, or a photo, also an earlier result. Default: the preset's.")
@click.option("--size", type=click.IntRange(1), help="Pixels; default: the model's.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=4, show_default=True, help="Images per ascent.")
@click.option("--grid", is_flag=True, help="Also grid.png: all of them on one labelled sheet.")
@click.option("--video", type=click.Path(readable=False), help="Also the ascent as a film: a name in .gif or .mp4.")
@click.option("--second", metavar="SPEC", help="Another model that judges each class's image as well.")
@click.option(
    "--photos",
    type=click.Path(readable=False),
    help="A folder: which photos excite each unit most, and least, and where.",
)
@click.option(
    "--output-dir", "-o", type=click.Path(readable=False), help="Default: seewhy-out, or the next free number."
)
@click.option("--force", is_flag=True, help="Replace earlier results.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(output_dir: str | None, force: bool, as_json: bool, **given: Any) -> None:
    """Make the image that a class, or a channel, is to the network, by gradient ascent.

    Writes, for each class, class-INDEX.png and class-INDEX.json, which says how it was made and how far to trust it;
    for a channel, LAYER-CHANNEL.png; for a whole layer, LAYER.png. With --photos, folders named like classes are taken
    as their photos. Ctrl-C keeps the image so far.
    """
    film = None if given["video"] is None else Path(given["video"])
    if film is not None:
        ending_of(film)
    find_preset(given["preset"])  # before the model is loaded
    classifier = load_model(given)
    tell_notes(classifier)
    wanted = _wanted(classifier, given)
    with foreign():
        second = (
            None if given["second"] is None else load(given["second"], trust=given["trust"] or given["trust_pickle"])
        )
    names = ("preset", "steps", "l2", "learning_rate", "alpha", "size", "seed")
    options = {name: given[name] for name in names} | {"start": _start(classifier, given)}
    gallery = Gallery(
        classifier, output_folder(output_dir, force=force), options, shlex.join(["seewhy", *sys.argv[1:]]),
        given["start"], force, given["batch_size"], second, given["photos"], filmed=film is not None,
    )  # fmt: skip
    more = [gallery.folder / "grid.png", gallery.folder / "grid.json"] if given["grid"] else []
    gallery.check(wanted, [*more, *([film, film.with_name(f"{film.name}.json")] if film else [])])
    written: list[Written] = []
    terminal = console(error=True)
    progress = Progress(console=terminal, transient=True, disable=not terminal.is_terminal)
    with progress, foreign(classifier), events.job("visualize", listener=_Bar(progress)):
        try:
            written.extend(gallery(wanted))
        finally:
            if written and given["grid"]:
                gallery.write_sheet(written)
            if written and film is not None:
                gallery.write_film(film, written)
    if as_json:
        click.echo(json.dumps([each.about for each in written]), file=output())
        return
    for each in written:
        click.echo(legible(f"{each.about['image']}  {each.wanted.title}  {_verdict(each.about)}"), file=output())
    for path in [*more[:1], *([film] if film else [])]:
        click.echo(legible(path), file=output())


class _Bar:
    """The progress of a terminal, as events tell it."""

    def __init__(self, progress: Progress):
        self._progress, self._task = progress, progress.add_task("ascent", total=1.0)

    def __call__(self, event: events.Event) -> None:
        if event.kind != "progress" or self._progress.disable:
            return
        what = ", ".join(event.path[1:])
        if isinstance(step := event.value, Step):
            if step.number % max(1, event.total // TOLD) and event.done < event.total:
                return
            what += f": {float(step.score.mean()):.1f}, step {event.done} of {event.total}"
        elif isinstance(event.value, Looked):
            what += f": {event.value.photos}"
        self._progress.update(self._task, description=shown(what), completed=event.share)


def _wanted(classifier: Classifier, given: dict[str, Any]) -> list[Wanted]:
    """What the command line asks for, each once."""
    layer, channels = given["layer"], given["channels"]
    if channels and layer is None:
        raise InputError("a channel is one of a layer", expected="--layer NAME as well")
    wanted = [wanted_class(classifier, target) for target in given["targets"]]
    if layer is not None:
        wanted += [wanted_channel(classifier, layer, channel) for channel in channels]
        wanted += [] if channels else [wanted_layer(classifier, layer)]
    if not wanted:
        raise InputError("there is nothing to visualize", expected="--target NAME, or --layer NAME with --channel N")
    return list({each.stem: each for each in wanted}.values())


def _start(classifier: Classifier, given: dict[str, Any]) -> str | Image.Image | None:
    """The start as ``visualize`` takes it: a photo is cut as the model cuts it, an earlier result is left as it is."""
    start, size = given["start"], given["size"]
    if start in (None, "grey", "noise"):
        return start  # type: ignore[no-any-return]
    if not Path(start).exists():
        raise InputError(f"there is no start {start!r}", expected="grey, noise, or a photo's path")
    image = read_photo(start).image
    height, width = (size, size) if size is not None else classifier.input_size
    if image.size == (width, height):
        return image
    side = max(width / image.width, height / image.height)
    left, top = (image.width - width / side) / 2, (image.height - height / side) / 2
    box = (left, top, left + width / side, top + height / side)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _verdict(about: dict[str, Any]) -> str:
    if about["receipt"] is None:
        return f"{about['history'][-1]:.2f} at the last step"
    return str(about["receipt"]["in_words"])

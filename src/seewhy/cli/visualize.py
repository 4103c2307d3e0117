"""seewhy visualize"""

from __future__ import annotations

import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from .. import __version__
from ..core.attribution import jsonable
from ..errors import InputError, OutputError
from ..explain import to_image
from ..files import make_folder, write_atomically, write_text
from ..pictures import read_photo
from ..synthesis import visualize
from ..synthesis.presets import find_preset
from .options import foreign, load_model, model_options


@click.command("visualize")
@click.option("--target", "-t", "targets", multiple=True, required=True, metavar="NAME|INDEX", help="May be repeated.")
@model_options
@click.option("--preset", default="default", show_default=True, help="default, simonyan, yosinski, olah or maco.")
@click.option("--steps", type=click.IntRange(1), help="Default: the preset's.")
@click.option("--l2", type=click.FloatRange(0), help="Weight of the penalty, lambda. Default: the preset's.")
@click.option("--learning-rate", type=float, help="Default: the preset's.")
@click.option("--start", help="grey, noise, or a photo. Default: the preset's.")
@click.option("--size", type=click.IntRange(1), help="Pixels; default: the model's.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--output-dir", "-o", default="seewhy-out", show_default=True, type=click.Path(file_okay=False))
@click.option("--force", is_flag=True, help="Replace earlier results.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(targets: tuple[str, ...], output_dir: str, force: bool, as_json: bool, **given: Any) -> None:
    """Make the image that a class is, to the network, by gradient ascent.

    Writes, for each class, class-INDEX.png and class-INDEX.json, which says how it was made. Ctrl-C keeps the
    image so far.
    """
    classifier = load_model(given)
    indices = list(dict.fromkeys(classifier.index(target) for target in targets))
    folder = make_folder(output_dir)
    for index in indices:
        if (folder / f"class-{index}.png").exists() and not force:
            raise OutputError(f"{folder / f'class-{index}.png'} exists; --force replaces it")
    start = given["start"]
    if start not in (None, "grey", "noise"):
        if not Path(start).exists():
            raise InputError(f"there is no start {start!r}", expected="grey, noise, or a photo's path")
        start = classifier.crop(read_photo(start).image)
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress, foreign():
        steps = given["steps"] or find_preset(given["preset"]).steps
        task = progress.add_task("ascent", total=steps)
        made = visualize(
            classifier, indices, preset=given["preset"], steps=given["steps"], l2=given["l2"],
            learning_rate=given["learning_rate"], start=start, size=given["size"], seed=given["seed"],
            callback=lambda step, score, image: progress.update(
                task, completed=step + 1, description=f"score {float(score.mean()):.1f}"
            ),
        )  # fmt: skip
    results = []
    for row, index in enumerate(indices):
        buffer = io.BytesIO()
        to_image(made.images[row]).save(buffer, "PNG")
        with write_atomically(folder / f"class-{index}.png", overwrite=force) as file:
            file.write(buffer.getvalue())
        about = {
            "seewhy": __version__,
            "command": shlex.join(["seewhy", *sys.argv[1:]]),
            "model": {"spec": classifier.name, "weights_sha256": classifier.weights_hash},
            "target": {"index": index, "name": classifier.label(index)},
            "params": jsonable(made.params) | ({"start": given["start"]} if given["start"] else {}),
            "score": None if made.score is None else float(made.score[row]),
            "probability": None if made.probability is None else float(made.probability[row]),
            "history": [round(float(score), 4) for score in made.history[:, row]],
            "interrupted": made.interrupted,
            "image": str(folder / f"class-{index}.png"),
        }
        write_text(
            folder / f"class-{index}.json", json.dumps(about, indent=2, ensure_ascii=False) + "\n", overwrite=force
        )
        results.append(about)
        if not as_json:
            click.echo(
                f"{about['image']}  {classifier.label(index)}  score {about['score']:.1f}  p {about['probability']:.3f}"
            )
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False))

"""Pictures made, judged, and written: for each a PNG, and a JSON that says how it was made and what to think of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import __version__, events
from ..core.attribution import jsonable
from ..errors import OutputError, PhotoError, TargetError
from ..exemplars import Exemplars, exemplars, photos_in
from ..files import write_bytes, write_text
from ..interrupts import uninterrupted
from ..pictures import percentage, png_bytes, read_photo, tiled
from ..synthesis import Step, Visualization
from ..synthesis.attempts import attempt_of
from ..synthesis.path import Likeness, likeness
from ..synthesis.pixels import Normalization, to_image
from ..synthesis.receipts import Receipt, receipts
from .sheet import photo_sheet, sheet
from .video import film
from .wanted import Wanted, batches, make

FRAMES = 64
"""Frames of a film: some are left out of a long ascent."""

PHOTOS_SHARE = 0.2
"""Of the progress, what looking at photos is counted as, beside the ascents."""

SAME, OTHERS = 16, 32
"""So many photos at most of a picture's class, and of others, for its path through the network."""


@dataclass(frozen=True)
class Written:
    """One picture, as it is and as its JSON tells it."""

    wanted: Wanted
    image: Image.Image
    about: dict[str, Any]


@dataclass
class Gallery:
    """Makes pictures and writes them into a folder.

    Attributes:
        classifier: whose pictures.
        folder: there already.
        options: of ``visualize``, without its target.
        command: as it was typed, for the manifests.
        start: as it was given, for the manifests.
        force: whether earlier files may be replaced.
        batch: pictures per ascent.
        second: another classifier that judges as well, or None.
        photos: a folder with photos, or None.
        count: photos of each unit, most and least.
        filmed: whether frames are kept.
    """

    classifier: Any
    folder: Path
    options: dict[str, Any]
    command: str
    start: str | None = None
    force: bool = False
    batch: int = 4
    second: Any = None
    photos: str | None = None
    count: int = 5
    filmed: bool = False
    _frames: list[list[Image.Image]] = field(default_factory=list)

    def check(self, wanted: Sequence[Wanted], others: Sequence[Path] = ()) -> None:
        """Before any work is done.

        Raises:
            OutputError: a file that would be written is there already, and may not be replaced; a folder is in its
                place; or its own folder is missing or takes no file.
        """
        paths = [self.folder / f"{each.stem}.{ending}" for each in wanted for ending in ("png", "json")]
        for path in (*paths, *others):
            if os.path.lexists(path) and not self.force:
                raise OutputError(f"{path} exists; --force replaces it")
            if os.path.isdir(path):
                raise OutputError(f"{path} cannot be written: it is a folder")
            if not os.path.isdir(path.parent):
                raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")
            if not os.access(path.parent, os.W_OK | os.X_OK):
                raise OutputError(f"{path} cannot be written: nothing may be written into {path.parent}")

    def __call__(self, wanted: Sequence[Wanted]) -> Iterator[Written]:
        """Make and write each of ``wanted``; each is also told as a result, and the work on them as progress.

        Raises:
            SeewhyError: something does not fit.
            KeyboardInterrupt: after the pictures so far were written.
        """
        looks = self._looks_at_photos(wanted)
        found = self._exemplars(wanted) if looks else {}
        parts, begin = batches(wanted, self.batch), PHOTOS_SHARE if looks else 0.0
        for number, part in enumerate(parts):
            name = part[0].title if len(part) == 1 else f"{part[0].title} and {len(part) - 1} more"
            share = (1 - begin) / len(parts)
            with events.part(name, begin + number * share, share):
                made = self._ascend(part)
            for row, each in enumerate(part):
                receipt = self._receipt(each, made, row)
                written = uninterrupted(self._write, each, made, row, receipt, found.get(each))
                events.result(written)
                yield written
            if made.interrupted:
                raise KeyboardInterrupt

    def write_sheet(self, written: Sequence[Written]) -> Path:
        """grid.png and grid.json: all pictures, labelled."""
        params = written[0].about["params"]
        pictures = [(each.wanted.title, each.image, _caption(each.about)) for each in written]
        subtitle = f"{self.classifier.name} · preset {params['preset']} · {params['steps']} steps"
        image = sheet(pictures, title="What the network would like to see", subtitle=subtitle)
        path = self.folder / "grid.png"
        write_bytes(path, png_bytes(image), overwrite=self.force)
        self._manifest(path.with_suffix(".json"), {"image": str(path), "pictures": [each.about for each in written]})
        return path

    def write_film(self, path: Path, written: Sequence[Written]) -> None:
        """The ascents as a film, and beside it its manifest, NAME.json."""
        length = max(len(frames) for frames in self._frames)
        full = [frames + frames[-1:] * (length - len(frames)) for frames in self._frames]
        frames = [tiled(list(images)) for images in zip(*full, strict=True)]
        write_bytes(path, film(frames, path.suffix.lower()), overwrite=self.force)
        about = {"video": str(path), "frames": len(frames), "pictures": [each.about for each in written]}
        self._manifest(path.with_name(f"{path.name}.json"), about)

    def _ascend(self, part: Sequence[Wanted]) -> Visualization:
        frames = list[list[list[Image.Image]]]()
        with self._filming(frames):
            made = make(self.classifier, part, **self.options)
        if self.filmed:
            for row, pixels in enumerate(made.images):
                kept = frames[attempt_of(made, row)]
                self._frames.append([*(images[row] for images in kept), to_image(pixels)])
        return made

    def _filming(self, frames: list[list[list[Image.Image]]]) -> AbstractContextManager[None]:
        """While it is entered, the pictures on the way are kept: of each attempt, of some steps, of each image."""
        if not self.filmed:
            return nullcontext()
        scale = Normalization(self.classifier.mean, self.classifier.std, torch.zeros(()))

        def keep(event: events.Event) -> None:
            if not isinstance(step := event.value, Step):
                return
            if step.number == 0:
                frames.append([])  # a new attempt
            # Not always: reading a picture waits for the device.
            if step.number % max(1, event.total // FRAMES) == 0 or event.done == event.total:
                frames[-1].append([to_image(pixels) for pixels in scale.to_pixels(step.images.cpu())])

        return events.also(keep)

    def _receipt(self, wanted: Wanted, made: Visualization, row: int) -> Receipt | None:
        if made.target is None:
            return None
        second, second_target, note = self.second, None, ""
        if second is not None:
            try:
                second_target = second.index(wanted.title)
            except TargetError:
                second, note = None, f"The second network, {self.second.name}, has no class of this name."
        image, path = made.images[row : row + 1], self._path(wanted, made.images[row])
        (found,) = receipts(
            self.classifier, image, wanted.target, second=second, second_target=second_target, paths=[path]
        )
        seeds, tries = (made.params.get(name) for name in ("seeds", "attempts"))
        if seeds is None or tries is None:
            return replace(found, note=note)
        return replace(found, note=note, seed=seeds[row], attempts=tries[row])

    def _path(self, wanted: Wanted, pixels: Tensor) -> tuple[Likeness, ...]:
        """Against the photos that lie in folders named like classes; empty where there are too few of them."""
        if self.photos is None:
            return ()
        same: list[Tensor] = []
        others: list[Tensor] = []
        for path in photos_in(self.photos):
            with suppress(TargetError, PhotoError):  # a folder that is no class, a file that is no photo
                of_class = self.classifier.index(path.parent.name) == wanted.target
                group, most = (same, SAME) if of_class else (others, OTHERS)
                if len(group) < most:
                    group.append(self.classifier.preprocess(read_photo(path).image))
        if len(same) < 2 or not others:
            return ()
        scale = Normalization(self.classifier.mean, self.classifier.std, same[0])
        size = same[0].shape[-2:]
        x = scale.to_network(F.interpolate(pixels[None].to(same[0]), size=size, mode="bilinear", antialias=True))
        return likeness(self.classifier, x, torch.cat(same), torch.cat(others))[0]

    def _looks_at_photos(self, wanted: Sequence[Wanted]) -> bool:
        return self.photos is not None and any(each.unit is not None for each in wanted)

    def _exemplars(self, wanted: Sequence[Wanted]) -> dict[Wanted, Exemplars]:
        units = {each: unit for each in wanted if (unit := each.unit) is not None}
        assert self.photos is not None
        with events.part("photos", 0.0, PHOTOS_SHARE):
            found = exemplars(self.classifier, self.photos, list(units.values()), count=self.count)
        return {each: found[unit] for each, unit in units.items()}

    def _write(
        self, wanted: Wanted, made: Visualization, row: int, receipt: Receipt | None, found: Exemplars | None
    ) -> Written:
        image = made.to_image(row)
        if made.alpha is not None:
            image.putalpha(to_image(made.alpha[row]).convert("L"))
        path = self.folder / f"{wanted.stem}.png"
        write_bytes(path, png_bytes(image), overwrite=self.force)
        about: dict[str, Any] = {
            "target": wanted.describe(),
            "params": _of_one(jsonable(made.params), row) | ({"start": self.start} if self.start else {}),
            "batch": {"size": len(made.images), "row": row},
            "score": None if made.score is None else float(made.score[row]),
            "probability": None if made.probability is None else float(made.probability[row]),
            "receipt": None if receipt is None else receipt.describe(),
            "history": [round(float(score), 4) for score in made.history[:, row]],
            "interrupted": made.interrupted,
            "image": str(path),
        }
        if found is not None:
            photos = self.folder / f"{wanted.stem}-photos.png"
            drawn = photo_sheet(found, title=wanted.title, label=str(found.unit))
            write_bytes(photos, png_bytes(drawn), overwrite=self.force)
            about["photos"] = {"image": str(photos), **_told(found)}
        about = self._manifest(path.with_suffix(".json"), about)
        return Written(wanted, image, about)

    def _manifest(self, path: Path, about: dict[str, Any]) -> dict[str, Any]:
        whole = {
            "seewhy": __version__,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": self.command,
            "model": {"spec": self.classifier.name, "weights_sha256": self.classifier.weights_hash},
            **about,
        }
        text = json.dumps(jsonable(whole), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(path, text + "\n", overwrite=self.force)
        return whole


def _of_one(params: dict[str, Any], row: int) -> dict[str, Any]:
    """One picture's parameters: the seed that it came from, and how often it was tried."""
    if "seeds" not in params:
        return params
    own = {name: value for name, value in params.items() if name != "seeds"}
    return own | {"seed": params["seeds"][row], "attempts": params["attempts"][row]}


def _told(found: Exemplars) -> dict[str, Any]:
    def rows(kept: Any) -> list[dict[str, Any]]:
        return [
            {"photo": str(each.path), "value": each.value, "position": each.position, "box": each.box} for each in kept
        ]

    return {"looked": found.looked, "skipped": found.skipped, "top": rows(found.top), "bottom": rows(found.bottom)}


def _caption(about: dict[str, Any]) -> str:
    if about["probability"] is None:
        return f"{about['history'][-1]:.2f} at the last step"
    return f"score {about['score']:.1f} · {percentage(about['probability'])}"

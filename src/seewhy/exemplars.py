"""The photos that excite a unit most and least, with the part that did it.

Pictures from ascent alone mislead: people tell what a unit does better from photos (Zimmermann 2021, Borowski 2021).
One pass over a folder, photo by photo; only the few best so far are remembered, however large the folder is.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from . import events
from .core.guest import guest, original
from .core.target import logits_of
from .errors import InputError, LayerError, PhotoError, TargetError
from .pictures import in_one_line, read_photo
from .synthesis.listening import layer_name, listening

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".avif")
RESULTS = {"explanation.json", "maps.npz"}
"""Files that tell a folder with a result of seewhy's."""
TAIL = 0.025
"""The share of the gradient's energy that may lie beyond each side of a crop."""
LEAST_SIDE = 16
MOST_NOTES = 20


@dataclass(frozen=True)
class Unit:
    """Something in a network that a photo can excite.

    Attributes:
        index: the class; or, with a layer, the channel.
        layer: its dotted name; None for a class's score.
        row, column: of a neuron; None for wherever the channel is strongest (and, for the least, weakest).
    """

    index: int
    layer: str | None = None
    row: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.layer is None:
            return f"class {self.index}"
        at = "" if self.row is None else f" at {self.row}, {self.column}"
        return f"channel {self.index} of {self.layer}{at}"


@dataclass(frozen=True)
class Exemplar:
    """One photo of a unit.

    Attributes:
        path: the file.
        value: what the unit gave.
        position: row and column in the unit's map; None for a class.
        seen: exactly what the network saw.
        box: (left, top, right, bottom) of the part of ``seen`` that the value rests on: all but a twentieth of the
            energy of its gradient at the pixels, each way. The whole where there is no gradient (a closed ReLU).
    """

    path: Path
    value: float
    position: tuple[int, int] | None
    seen: Image.Image
    box: tuple[int, int, int, int]

    @property
    def part(self) -> Image.Image:
        """The part of the photo that excited the unit."""
        return self.seen.crop(self.box)


@dataclass(frozen=True)
class Exemplars:
    """The photos of one unit, the most extreme first.

    Attributes:
        top, bottom: those that excite it most and least.
        looked: how many photos were looked at.
        skipped: why some were not, the first twenty.
    """

    unit: Unit
    top: tuple[Exemplar, ...]
    bottom: tuple[Exemplar, ...]
    looked: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """What is told on the way, as the value of an event: how many photos were looked at."""

    photos: int


def exemplars(
    classifier: Any,
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    units: Sequence[Unit],
    *,
    count: int = 9,
    batch_size: int = 16,
    progress: Callable[[int], None] | None = None,
) -> dict[Unit, Exemplars]:
    """The ``count`` photos in a folder that excite each unit most, and those that excite it least.

    The folder is read once, whatever the number of units; the photos that are kept are read once more for their crops.

    Args:
        classifier: from ``seewhy.load``; it knows how a photo becomes its input.
        folder: photos, also in folders within it; or a list of files.
        units: at least one.
        count: how many of each.
        batch_size: photos per forward.
        progress: called with the number of photos looked at, after each forward. Whoever listens to ``seewhy.events``
            hears how many of the folder's photos are done, with ``Looked``.

    Raises:
        InputError: the folder is none, holds no photo that can be read, or a number makes no sense.
        LayerError, TargetError: there is no such unit.
    """
    if not units or count < 1 or batch_size < 1:
        raise InputError("exemplars need a unit, a count and a batch size above zero", got=f"{len(units)}, {count}")
    model = original(classifier)
    layers = frozenset(layer_name(model, unit.layer) for unit in units if unit.layer is not None)
    best = {unit: (_Best(count), _Best(count)) for unit in units}
    looked, skipped = 0, list[str]()
    number = sum(1 for _ in _files(folder))
    with _told_to(progress), guest(model, grad=False):
        for done, paths, inputs in _batches(classifier, folder, batch_size, skipped):
            with listening(model, layers) as activations:
                outputs = model(inputs)
            for unit, (top, bottom) in best.items():
                maps = _maps(unit, outputs, activations, model)
                for best_so_far, sign in ((top, 1), (bottom, -1)):
                    values, where = (sign * maps).flatten(1).max(1)
                    for path, value, place in zip(paths, values.tolist(), where.tolist(), strict=True):
                        best_so_far.offer(value, path, divmod(place, maps.shape[2]))
            looked += len(paths)
            events.progress(done, max(done, number), Looked(looked))
    if not looked:
        place = in_one_line(folder) if isinstance(folder, str | os.PathLike) else "the list"
        why = skipped[0] if skipped else f"{place} holds no photo"
        raise InputError(f"there is nothing to look at: {why}")
    found = {}
    for unit, (top, bottom) in best.items():
        most = tuple(_exemplar(classifier, model, unit, path, value, place) for value, path, place in top.ranked())
        least = tuple(_exemplar(classifier, model, unit, path, -value, place) for value, path, place in bottom.ranked())
        found[unit] = Exemplars(unit, most, least, looked, tuple(skipped))
    return found


def _told_to(progress: Callable[[int], None] | None) -> AbstractContextManager[None]:
    """The number of photos that were looked at told to a function, for the time of a block."""
    if progress is None:
        return nullcontext()

    def listener(event: events.Event) -> None:
        if isinstance(event.value, Looked):
            progress(event.value.photos)

    return events.also(listener)


@dataclass
class _Best:
    """The few largest values offered so far; of equals, the first."""

    count: int
    heap: list[tuple[float, int, Path, tuple[int, int]]] = field(default_factory=list)
    offered: int = 0

    def offer(self, value: float, path: Path, place: tuple[int, int]) -> None:
        self.offered += 1
        push = heapq.heappush if len(self.heap) < self.count else heapq.heappushpop
        push(self.heap, (value, -self.offered, path, place))

    def ranked(self) -> list[tuple[float, Path, tuple[int, int]]]:
        return [(value, path, place) for value, _, path, place in sorted(self.heap, reverse=True)]


def photos_in(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Every photo in a folder and the folders within it, by its ending, in the order of their names; without
    the pictures in folders that hold an earlier result.

    Raises:
        InputError: it is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{in_one_line(folder)} is no folder", expected="a folder with photos")
    for place, folders, files in os.walk(folder):
        if set(files) >= RESULTS and Path(place) != folder:
            folders.clear()
            continue
        folders.sort()
        yield from (Path(place, name) for name in sorted(files) if name.lower().endswith(ENDINGS))


def _files(folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Iterator[Path]:
    return photos_in(folder) if isinstance(folder, str | os.PathLike) else map(Path, folder)


def _batches(
    classifier: Any,
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    batch_size: int,
    skipped: list[str],
) -> Iterator[tuple[int, list[Path], Tensor]]:
    """How many photos of the folder are done then, those of a batch that could be read, and the network's inputs."""
    paths: list[Path] = []
    inputs: list[Tensor] = []
    done = 0
    for done, path in enumerate(_files(folder), 1):
        try:
            inputs.append(classifier.preprocess(read_photo(path).image))
        except PhotoError as error:
            if len(skipped) < MOST_NOTES:
                skipped.append(str(error))
            continue
        paths.append(path)
        if len(paths) == batch_size:
            yield done, paths, torch.cat(inputs)
            paths, inputs = [], []
    if paths:
        yield done, paths, torch.cat(inputs)


def _maps(unit: Unit, outputs: Any, activations: dict[str, Tensor], model: nn.Module) -> Tensor:
    """What the unit gave, (B, h, w)."""
    if unit.layer is None:
        logits = logits_of(outputs)
        if not 0 <= unit.index < logits.shape[1]:
            raise TargetError("there is no such class", expected=f"0 to {logits.shape[1] - 1}", got=unit.index)
        return logits[:, unit.index, None, None]
    name = layer_name(model, unit.layer)
    maps = activations[name]
    if maps.dim() == 2:
        maps = maps[:, :, None, None]
    if maps.dim() != 4:
        raise LayerError(f"layer {name!r} gives no maps", expected="(B, C, h, w) or (B, C)", got=tuple(maps.shape))
    if not 0 <= unit.index < maps.shape[1]:
        raise LayerError(f"layer {name!r} has no such channel", expected=f"0 to {maps.shape[1] - 1}", got=unit.index)
    channel = maps[:, unit.index]
    if unit.row is None or unit.column is None:
        return channel
    if not (0 <= unit.row < channel.shape[1] and 0 <= unit.column < channel.shape[2]):
        raise LayerError(f"layer {name!r} has no such position", expected=f"within {tuple(channel.shape[1:])}")
    return channel[:, unit.row : unit.row + 1, unit.column : unit.column + 1]


def _exemplar(
    classifier: Any, model: nn.Module, unit: Unit, path: Path, value: float, place: tuple[int, int]
) -> Exemplar:
    image = read_photo(path).image
    inputs = classifier.preprocess(image).requires_grad_()
    layers = frozenset() if unit.layer is None else frozenset({layer_name(model, unit.layer)})
    with guest(model, grad=True), listening(model, layers) as activations:
        maps = _maps(unit, model(inputs), activations, model)
        (gradient,) = torch.autograd.grad(maps[0, place[0], place[1]], inputs, allow_unused=True)
    position = None if unit.layer is None else (place if unit.row is None else (unit.row, unit.column or 0))
    seen = classifier.crop(image)
    return Exemplar(path, value, position, seen, _box(gradient, seen.size))


def _box(gradient: Tensor | None, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What holds all but ``TAIL`` of the gradient's energy beyond each side, at least 16 pixels wide and high."""
    if gradient is None or not gradient.any():
        return (0, 0, *size)
    energy = gradient[0].double().square().sum(0)
    (left, right), (top, bottom) = (_span(energy.sum(axis)) for axis in (0, 1))
    return left, top, right, bottom


def _span(energy: Tensor) -> tuple[int, int]:
    share = energy.cumsum(0) / energy.sum()
    first, last = int((share < TAIL).sum()), int((share < 1 - TAIL).sum()) + 1
    width = max(last - first, min(LEAST_SIDE, len(energy)))
    start = min(max(0, (first + last) // 2 - width // 2), len(energy) - width)
    return start, start + width

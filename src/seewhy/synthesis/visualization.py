"""What an ascent made, and how it was made."""

from __future__ import annotations

import base64
import html
import json
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..core.attribution import jsonable
from ..core.saved import check, read_saved
from ..files import write_arrays, write_atomically
from ..pictures import percentage, png_bytes, tiled
from .pixels import to_image

FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Visualization:
    """What gradient ascent made; in a notebook it shows itself.

    ``len`` is the number of images, and ``v[i]`` the visualization of one of them.

    Attributes:
        images: (B, C, H, W) float32, pixels in [0, 1]; what left that range is cut off.
        score: (B,) float32, the network's score of ``images`` as shown, without transforms; None without a target.
        probability: (B,) float32, of the target for ``images``: the softmax, of one output the sigmoid; None without
            classes.
        history: (steps, B) float32, the score (or objective) before each step, under that step's transforms.
        objective: (steps, B) float32, the same with everything else that the preset weighs: what is ascended.
        target: (B,) int64, or None.
        params: what had a part in the result, and nothing else; with the target, everything needed to make the images
            again. Where classes were tried more than once, ``seeds`` says which seed each image came from, and
            ``attempts`` how often it was tried.
        frames: step -> images at the checkpoints.
        interrupted: whether Ctrl-C ended the ascent early; the image so far is kept.
        alpha: (B, 1, H, W) float32 in [0, 1], the opacity; None for an image without an alpha channel.
        labels: what the classes are called; None where nobody knows.
    """

    images: Tensor
    score: Tensor | None
    probability: Tensor | None
    history: Tensor
    objective: Tensor
    target: Tensor | None
    params: dict[str, Any]
    frames: dict[int, Tensor]
    interrupted: bool = False
    alpha: Tensor | None = None
    labels: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        """One line: the images themselves would fill the screen."""
        shape = " x ".join(map(str, self.images.shape))
        of = ", ".join(self._caption(i) for i in range(min(len(self), 3))) + (", ..." if len(self) > 3 else "")
        made = f"{self.params.get('preset')}, {len(self.history)} steps"
        return f"Visualization({of}; {shape}; {made}{', interrupted' if self.interrupted else ''})"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Visualization:
        """The visualization of one image.

        Raises:
            IndexError: there are not so many.
        """
        row = operator.index(index)
        row += len(self) if row < 0 else 0
        if not 0 <= row < len(self):
            raise IndexError(f"there is no image {index} among {len(self)}")
        one = slice(row, row + 1)
        of_images = ("images", "score", "probability", "target", "alpha", "labels")
        taken: dict[str, Any] = {
            name: None if (part := getattr(self, name)) is None else part[one] for name in of_images
        }
        params = {name: value[one] if name in _OF_EACH and len(value) == len(self) else value
                  for name, value in self.params.items()}  # fmt: skip
        return replace(
            self, **taken, params=params, history=self.history[:, one], objective=self.objective[:, one],
            frames={step: images[one] for step, images in self.frames.items()},
        )  # fmt: skip

    def to_image(self, i: int = 0) -> Image.Image:
        """One image as a picture, RGB; without its alpha channel."""
        return to_image(self.images[i])

    def show(self) -> None:
        """Show the images: in a notebook below the cell, else as the system shows pictures."""
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if shell is not None:
            import_module("IPython.display").display(self)
        else:
            tiled([self.to_image(i) for i in range(len(self))]).show()

    def _repr_html_(self) -> str:
        figures = "".join(
            '<figure style="margin:0">'
            f'<img alt="{self._escaped(i)}" src="data:image/png;base64,{_inline(self.to_image(i))}">'
            f'<figcaption>{self._escaped(i)}</figcaption></figure>'
            for i in range(len(self))
        )  # fmt: skip
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>'

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write an ``.npz`` that ``numpy.load(path, allow_pickle=False)`` reads.

        Raises:
            OutputError: the file exists and ``overwrite`` is False, or it cannot be written.
        """
        named = {name: getattr(self, name) for name in _ARRAYS}
        arrays = {name: part for name, part in named.items() if part is not None}
        arrays |= {f"frames.{step}": images for step, images in self.frames.items()}
        about = {"format": FORMAT, "kind": KIND, "params": jsonable(self.params), "interrupted": self.interrupted,
                 "labels": None if self.labels is None else list(self.labels)}  # fmt: skip
        numpy: dict[str, Any] = {name: part.detach().cpu().numpy() for name, part in arrays.items()}
        with write_atomically(path, overwrite=overwrite) as file:
            write_arrays(file, {"about": json.dumps(about), **numpy})

    @classmethod
    def load(cls, path: str | Path) -> Visualization:
        """Read what ``save`` wrote, of this version of the format; ``params`` as JSON holds them.

        Raises:
            InputError: the file is missing, of another format, or is not a visualization.
        """
        return cls(**read_saved(path, FORMAT, KIND, _parts))

    def _caption(self, i: int) -> str:
        """What image ``i`` is of, its score, and its probability."""
        if self.labels is not None:
            of = self.labels[i]
        elif self.target is not None:
            of = f"class {int(self.target[i])}"
        else:
            of = str(self.params.get("objective", "a function"))
        score = "" if self.score is None else f" · score {float(self.score[i]):.1f}"
        return of + score + ("" if self.probability is None else f" · {percentage(float(self.probability[i]))}")

    def _escaped(self, i: int) -> str:
        return html.escape(self._caption(i))


KIND = "visualization"
_ARRAYS = ("images", "score", "probability", "history", "objective", "target", "alpha")
_OF_EACH = ("seeds", "attempts")
"""Parameters with one value per image."""


def _inline(image: Image.Image) -> str:
    return base64.b64encode(png_bytes(image)).decode()


def _parts(about: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> dict[str, Any]:
    """Every part of a saved visualization, of its type, shape and range."""
    check("kind", about["kind"], lambda it: it == KIND, KIND)
    images, history, objective = (arrays[name] for name in ("images", "history", "objective"))
    check("images", images, lambda it: it.dim() == 4 and 0 not in it.shape and _in_unit(it), "(B, C, H, W) in [0, 1]")
    batch, _, height, width = images.shape
    check("history", history, lambda it: it.dim() == 2 and it.shape[1] == batch and _finite(it), "(steps, B) finite")
    check("objective", objective, lambda it: it.shape == history.shape and _finite(it), "as many as the history")
    optional: list[tuple[str, Callable[[Tensor], bool], str]] = [
        ("score", lambda it: it.shape == (batch,) and _finite(it), "(B,) finite"),
        ("probability", lambda it: it.shape == (batch,) and _in_unit(it), "(B,) in [0, 1]"),
        ("target", lambda it: it.shape == (batch,) and it.dtype == torch.int64 and int(it.min()) >= 0, "(B,) int64"),
        ("alpha", lambda it: it.shape == (batch, 1, height, width) and _in_unit(it), "(B, 1, H, W) in [0, 1]"),
    ]
    for name, holds, expected in optional:
        if name in arrays:
            check(name, arrays[name], holds, expected)
    frames = {name.removeprefix("frames."): part for name, part in arrays.items() if name.startswith("frames.")}
    for step, part in frames.items():
        check("frame's name", step, lambda it: it.isdecimal() and len(it) < 10, "a number of steps")
        check(f"frame {step}", part, lambda it: it.shape == images.shape and _in_unit(it), "as the images")
    params, interrupted, labels = about["params"], about["interrupted"], about["labels"]
    check("params", params, lambda it: _are_params(it, batch), "an object, with a seed and its attempts per image")
    check("interrupted", interrupted, lambda it: isinstance(it, bool), "true or false")
    check("labels", labels, lambda it: it is None or _is_list(it, batch, str), "a name per image, or null")
    return {
        "images": images,
        "history": history,
        "objective": objective,
        **{name: arrays.get(name) for name, _, _ in optional},
        "params": params,
        "frames": {int(step): part for step, part in frames.items()},
        "interrupted": interrupted,
        "labels": None if labels is None else tuple(labels),
    }


def _finite(values: Tensor) -> bool:
    return values.dtype == torch.float32 and bool(values.isfinite().all())


def _in_unit(values: Tensor) -> bool:
    return values.dtype == torch.float32 and bool(((values >= 0) & (values <= 1)).all())


def _is_list(values: Any, length: int, kind: type) -> bool:
    return isinstance(values, list) and len(values) == length and all(type(value) is kind for value in values)


def _are_params(params: Any, batch: int) -> bool:
    return isinstance(params, dict) and all(_is_list(params[name], batch, int) for name in _OF_EACH if name in params)

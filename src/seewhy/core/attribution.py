"""The result of a method: raw numbers, checked when made, with everything needed to make them again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..files import write_arrays, write_atomically
from ..pictures import MapPanel, figure
from ..pictures.in_memory import as_photo
from ..pictures.notebook import display, img
from .saved import attribution_parts, read_saved
from .target import check_finite

_FORMAT = 1

MOST_SHOWN = 8
"""Images of a batch that a notebook shows."""


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """Why each image of a batch got its score.

    Attributes:
        values: (B, 1 or C, h, w) float32, signed and raw, at the method's native resolution; never normalised.
        method: the method's id.
        params: the method's parameters.
        target: (B,) int64, or None where a function gave the score.
        score: (B,) float32, before the softmax.
        input_size: (H, W) of the inputs.
        layer: the layer explained, where the method has one.
        overridden: how many autograd nodes a ReLU rule was put on.
        details: further arrays of the method's own, (B, ...), e.g. occlusion's grid of scores per mask position.
        notes: what should be said of how it was done, as JSON holds it, e.g. occlusion's engine.
        against: (B,) int64, the class rather than which ``target`` is explained (``Versus``); None otherwise.
        shared: the names of those details that are the same for all images, e.g. occlusion's windows; those that have
            no row per image are taken to be.

    In a notebook it shows itself. ``len`` is the number of images, and ``a[i]`` the attribution of one of them.
    """

    values: Tensor
    method: str
    params: Mapping[str, Any]
    target: Tensor | None
    score: Tensor
    input_size: tuple[int, int]
    layer: str | None = None
    overridden: int = 0
    details: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    against: Tensor | None = None
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        batch = len(self.score)
        values = self.values
        if not isinstance(values, Tensor) or values.dim() != 4 or values.shape[0] != batch or 0 in values.shape:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise InputError(
                f"the values of {self.method!r} have the wrong shape", expected=f"({batch}, 1 or C, h, w)", got=got
            )
        if self.against is not None and (self.target is None or self.against.shape != (batch,)):
            raise InputError("a class is told for each image, rather than which", got=tuple(self.against.shape))
        # One question to the device instead of two.
        finite = torch.isfinite(values).all() & torch.isfinite(self.score).all().to(values.device)
        if not finite:
            check_finite(self.score)
            raise InputError(f"the values of {self.method!r} hold NaN or infinite numbers")
        keep = object.__setattr__
        keep(self, "values", values.detach().float().contiguous())
        keep(self, "score", self.score.detach().float())
        keep(self, "params", MappingProxyType(dict(self.params)))
        keep(self, "details", MappingProxyType({name: part.detach() for name, part in self.details.items()}))
        keep(self, "notes", MappingProxyType(dict(self.notes)))
        # A detail without a row per image can only be of all of them.
        common = {name for name, part in self.details.items() if part.dim() == 0 or len(part) != batch}
        keep(self, "shared", (frozenset(self.shared) & self.details.keys()) | common)

    def __repr__(self) -> str:
        """One line: the values themselves would fill the screen."""
        layer = "" if self.layer is None else f" at {self.layer}"
        shape = " x ".join(map(str, self.values.shape))
        low, high = float(self.values.min()), float(self.values.max())
        target = "a function" if self.target is None else _few(self.target)
        if self.against is not None:
            target += f" rather than {_few(self.against)}"
        about = f"{shape}, {low:.4g} to {high:.4g}; target {target}; score {_few(self.score)}"
        return f"Attribution({self.method}{layer}: {about})"

    def __reduce__(self) -> tuple[Any, ...]:
        plain = (dict(part) if isinstance(part, Mapping) else part for part in vars(self).values())
        return Attribution, tuple(plain)

    def __len__(self) -> int:
        """How many images."""
        return len(self.score)

    def __getitem__(self, index: int | slice) -> Attribution:
        """The attribution of one image, or of some, as of a batch of these alone.

        Raises:
            IndexError: there is no such image.
        """
        if isinstance(index, slice):
            some = list(range(len(self)))[index]
        else:
            some = [range(len(self))[index]]
        if not some:
            raise IndexError(f"no image of {len(self)} is in {index}")
        batched = {name: part[some] for name, part in self.details.items() if name not in self.shared}
        return replace(
            self,
            values=self.values[some],
            score=self.score[some],
            target=None if self.target is None else self.target[some],
            against=None if self.against is None else self.against[some],
            details={**self.details, **batched},
        )

    def __iter__(self) -> Iterator[Attribution]:
        """Image by image."""
        return (self[index] for index in range(len(self)))

    def numpy(self) -> np.ndarray:
        """A copy of the values, (B, 1 or C, h, w) float32."""
        return np.array(self.values.cpu().numpy())

    def to(self, device: str | torch.device) -> Attribution:
        """The same on another device."""
        return replace(
            self,
            values=self.values.to(device),
            score=self.score.to(device),
            target=None if self.target is None else self.target.to(device),
            against=None if self.against is None else self.against.to(device),
            details={name: part.to(device) for name, part in self.details.items()},
        )

    def to_image(self, photo: Any = None, *, size: tuple[int, int] | None = None) -> Image.Image:
        """The map of one image as a picture: over the photo, or on white paper.

        Zero is the colour of paper; nothing is min-max normalised.

        Args:
            photo: exactly what the model saw, (W, H) as the inputs: a path, a PIL image or an array, such as
                ``classifier.crop(photo)``. None: no photo.
            size: (width, height) of the picture; None: of the inputs.

        Returns:
            RGB.

        Raises:
            InputError: there are several images (take ``a[i]``), or the photo is not what the model saw: on the
                uncropped one the map would lie in the wrong place.
            PhotoError: it cannot be read.
        """
        panel = self._panel(photo)
        return panel.picture(size or panel.size)

    def show(self, photo: Any = None) -> None:
        """Show the map of one image, with its colour bar: in a notebook below the cell, else in the system's viewer."""
        display(self._figure(photo))

    def _repr_html_(self) -> str:
        shown = [img(one._figure(None), repr(one)) for one in self[:MOST_SHOWN]]
        more = f"<p>and {len(self) - MOST_SHOWN} more</p>" if len(self) > MOST_SHOWN else ""
        return f"<div>{''.join(shown)}{more}</div>"

    def _figure(self, photo: Any) -> Image.Image:
        about = "" if self.target is None else f"class {_few(self.target)} · "
        return figure([self._panel(photo)], title=self.method, subtitle=f"{about}score {_few(self.score)}")

    def _panel(self, photo: Any) -> MapPanel:
        if len(self) > 1:
            raise InputError("a picture is of one image", expected="a[i].to_image(...)", got=f"{len(self)} images")
        height, width = self.input_size
        base = Image.new("RGB", (width, height), "white") if photo is None else as_photo(photo).image
        if base.size != (width, height):
            expected = f"{width} × {height} pixels, exactly what the model saw: classifier.crop(photo)"
            got = f"{base.width} × {base.height}"
            raise InputError("the map does not lie on this photo", expected=expected, got=got)
        return MapPanel(self.method, self.values[0].cpu().numpy(), base, self.layer or "")

    def upsampled(self, size: tuple[int, int] | None = None) -> Tensor:
        """The values at ``size`` (default: the inputs'), (B, C|1, H, W), bilinear with half-pixel centres."""
        return F.interpolate(self.values, size=tuple(size or self.input_size), mode="bilinear", align_corners=False)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write an ``.npz`` that ``numpy.load(path, allow_pickle=False)`` reads.

        Raises:
            OutputError: the file exists and ``overwrite`` is False, or it cannot be written.
        """
        arrays = {"values": self.values, "score": self.score}
        if self.target is not None:
            arrays["target"] = self.target
        if self.against is not None:
            arrays["against"] = self.against
        arrays |= {f"details.{name}": part for name, part in self.details.items()}
        about = {
            "format": _FORMAT,
            "method": self.method,
            "params": jsonable(self.params),
            "layer": self.layer,
            "overridden": self.overridden,
            "input_size": list(self.input_size),
            "notes": jsonable(self.notes),
            "shared": sorted(self.shared),
        }
        numpy: dict[str, Any] = {name: part.cpu().numpy() for name, part in arrays.items()}
        with write_atomically(path, overwrite=overwrite) as file:
            write_arrays(file, {"about": json.dumps(about), **numpy})

    @classmethod
    def load(cls, path: str | Path) -> Attribution:
        """Read what ``save`` wrote, of this version of the format.

        Raises:
            InputError: the file is missing, of another format, or is not an attribution.
        """
        parts = read_saved(path, _FORMAT, "attribution", attribution_parts)
        try:
            return cls(**parts)
        except InputError as error:
            raise InputError(f"{path} is not a saved attribution: {error}") from error


def joined(parts: Sequence[Attribution], notes: Mapping[str, Any]) -> Attribution:
    """The attributions of images that were explained one by one, as those of one batch; ``notes`` are added."""
    first = parts[0]

    def together(of: Callable[[Attribution], Tensor | None]) -> Tensor | None:
        tensors = [tensor for part in parts if (tensor := of(part)) is not None]
        return torch.cat(tensors) if tensors else None

    batched = {name: torch.cat([part.details[name] for part in parts]) for name in first.details.keys() - first.shared}
    return replace(
        first,
        values=torch.cat([part.values for part in parts]),
        score=torch.cat([part.score for part in parts]),
        target=together(lambda part: part.target),
        against=together(lambda part: part.against),
        details={**first.details, **batched},
        notes={**first.notes, **notes},
    )


def _few(values: Tensor, most: int = 4) -> str:
    return ", ".join(f"{value:.6g}" for value in values[:most].tolist()) + (", ..." if len(values) > most else "")


def jsonable(value: Any) -> Any:
    """As JSON holds it: tuples become lists, tensors nested lists, what is not finite null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [jsonable(item) for item in value]
    return value

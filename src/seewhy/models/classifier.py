"""A model together with what it takes and what its outputs mean."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.errors import TargetError, close_matches, plain
from seewhy.pictures.in_memory import as_photo

from .labels import check_count
from .limits import shown
from .prediction import SHOWN, Prediction, predicted
from .preprocessing import BorrowedPreprocessing, Preprocessing

MOST_INDEX = 1 << 62
"""The largest index that torch accepts."""


@dataclass(frozen=True, eq=False, repr=False)
class Classifier:
    """An image classifier, ready to be explained; it goes wherever a model goes.

    Attributes:
        model: the network, in eval mode.
        labels: the name of each output, or None where nobody knows them.
        transform: how a photo becomes the model's input.
        name: the SPEC that it was loaded from.
        weights_hash: see ``seewhy.models.weights.state_hash``.
        provenance: where everything came from, ready for JSON.
        synonyms: other names of each output; ``index`` finds them too.
        notes: what a reader must know about the network, such as that its weights are random; a line each.
    """

    model: nn.Module
    labels: tuple[str, ...] | None
    transform: Preprocessing | BorrowedPreprocessing
    name: str
    weights_hash: str
    provenance: dict[str, Any]
    synonyms: tuple[tuple[str, ...], ...] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        outputs = "unnamed classes" if self.labels is None else f"{len(self.labels)} classes"
        height, width = self.input_size
        return f"Classifier({self.name}: {type(self.model).__name__}, {height} x {width}, {outputs})"

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) of the pictures that the model takes."""
        return self.transform.input_size

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from each channel of a picture in [0, 1]."""
        return self.transform.mean

    @property
    def std(self) -> tuple[float, ...]:
        """What each channel is divided by afterwards."""
        return self.transform.std

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """A picture as the model's input: (1, C, H, W) float32, normalised, on the model's device.

        Raises:
            InputError: not a picture, or one without pixels.
        """
        return self._placed(self.transform(image))

    def normalised(self, seen: Image.Image) -> torch.Tensor:
        """Pixels that the model sees, as ``crop`` gives them, or a part of these, as the model's input: (1, C, h, w)
        float32, normalised, on the model's device.

        Raises:
            InputError: the model reads other channels than a photo has.
        """
        return self._placed(self.transform.normalised(seen))

    def normalised_pixels(self, seen: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Several at once: (B, h, w, 3) uint8 as (B, C, h, w) float32, normalised, on the model's device; each bit for
        bit as ``normalised`` gives it.

        Raises:
            InputError: the model reads other channels than a photo has.
        """
        return self._placed(self.transform.normalised_pixels(seen))

    def _placed(self, inputs: torch.Tensor) -> torch.Tensor:
        parameter = next(self.model.parameters(), None)
        return inputs if parameter is None else inputs.to(parameter.device)

    def crop(self, image: Image.Image) -> Image.Image:
        """Exactly the pixels that the model sees, before normalisation: RGB, of ``input_size``.

        Raises:
            InputError: not a picture, or one without pixels.
        """
        return self.transform.crop(image)

    def box(self, image: Image.Image) -> tuple[float, float, float, float] | None:
        """Where the crop lies on the photo: left, top, right, bottom in the photo's pixels; None: it is not known."""
        return self.transform.box(image)

    def predict(self, photo: Any, *, top: int = SHOWN) -> Prediction:
        """The ``top`` most probable classes of a photo.

        Args:
            photo: a path, a PIL image, or an array (H, W, 3) of uint8 0..255 or floats 0..1.
            top: how many.

        Raises:
            PhotoError: the photo cannot be read.
            ModelError: the model's output is no row of class scores.
        """
        inputs = self.preprocess(as_photo(photo).image)
        with recorded(self.model, inputs, None, Needs()) as record:
            assert record.logits is not None
            self.check_outputs(record.logits.shape[1])
            return predicted(self, record.logits[0], top)

    def check_outputs(self, count: int) -> None:
        """Raises InputError where the model turns out to have ``count`` outputs, and its labels are not as many."""
        if self.labels is not None:
            check_count(self.labels, count, self.name)

    def label(self, index: int) -> str:
        """The name of an output; "class 17" where it has none."""
        if self.labels is not None and 0 <= index < len(self.labels):
            return self.labels[index]
        return f"class {index}"

    def index(self, name: str | int) -> int:
        """The output that a name or a number means.

        A label comes first (case, spaces, hyphens and underscores do not matter), then a synonym that
        only one output has, then a number.

        Raises:
            TargetError: unknown (close matches are named), ambiguous, or a number out of range.
        """
        if isinstance(name, str):
            for names in (self._by_label(), self._by_synonym()):
                found = names.get(plain(name), [])
                if len(found) == 1:
                    return found[0]
                if found:
                    close = (f"{index} ({self.label(index)})" for index in found)
                    raise TargetError(f"more than one class is called {name!r}", close=close)
            if not name.strip().removeprefix("-").isdecimal():
                raise self._unknown(name)
        try:
            index = operator.index(int(name) if isinstance(name, str) else name)
        except (TypeError, ValueError) as error:  # no number, or one of more digits than Python reads
            raise TargetError("a class is meant by its name or its index", got=shown(name)) from error
        count = None if self.labels is None else len(self.labels)
        if not 0 <= index < (MOST_INDEX if count is None else count):
            expected = "0 or more" if count is None else f"0 to {count - 1}"
            raise TargetError("the class index is out of range", expected=expected, got=shown(index))
        return index

    def _unknown(self, name: str) -> TargetError:
        if self.labels is None:
            return TargetError(f"the classes of {self.name} have no names", expected="an index", got=repr(name))
        found = close_matches(name, self.labels)
        if not found and self.synonyms is not None:
            found = close_matches(name, (word for words in self.synonyms for word in words))
        return TargetError(f"unknown class {name!r}", close=found)

    @property
    def namesakes(self) -> list[int]:
        """The classes that share their name with another one: a name does not tell which is meant."""
        return sorted(index for found in self._by_label().values() if len(found) > 1 for index in found)

    def _by_label(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = {}
        for index, label in enumerate(self.labels or ()):
            names.setdefault(plain(label), []).append(index)
        return names

    def _by_synonym(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = {}
        for index, words in enumerate(self.synonyms or ()):
            for word in {plain(word) for word in words}:
                names.setdefault(word, []).append(index)
        return names

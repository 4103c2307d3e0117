"""What was found out about a model while running it, so that the next run need not search again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor, nn


@dataclass
class Notes:
    """For one model, as it is built now, and one size of photo.

    Attributes:
        default_layer: the last spatial layer before pooling.
        class_map: the layer whose maps CAM reads, and the linear layer (None for a convolutional head).
    """

    default_layer: str | None = None
    class_map: tuple[str, str | None] | None = None


_notes: WeakKeyDictionary[nn.Module, tuple[tuple[object, ...], Notes]] = WeakKeyDictionary()


def notes_on(model: nn.Module, modules: Sequence[nn.Module], inputs: Tensor) -> Notes:
    """The notes on ``model``, empty ones if it was changed since or is given photos of another size."""
    # Ids are enough: a model that lives on keeps its modules alive, and a replaced one has another id.
    signature = (tuple(inputs.shape[1:]), *map(id, modules))
    known, notes = _notes.get(model, ((), Notes()))
    if known != signature:
        notes = Notes()
        _notes[model] = (signature, notes)
    return notes

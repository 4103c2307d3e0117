"""What was found out about a model while running it, so that the next run need not search again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from torch import Tensor, nn


@dataclass
class Notes:
    """For one model, as it is built now, and one size of photo. Each is checked where it is used.

    Attributes:
        default: whether the graph was kept down to the photo -> the last spatial layer before pooling, and the kinds
            of the functions between it and the score.
        class_map: the layer whose maps CAM reads, and the linear layer (None for a convolutional head).
        single: layers that ran once, on something that is made of the photo.
    """

    default: dict[bool, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    class_map: tuple[str, str | None] | None = None
    single: set[str] = field(default_factory=set)


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

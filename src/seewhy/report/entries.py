"""What a report is made of: plain frozen records that the caller fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from seewhy.pictures.panels import ErrorPanel, MapPanel, PicturePanel


@dataclass(frozen=True)
class RunInfo:
    """What all photos of a run have in common; every text is shown as it is.

    Attributes:
        model: the model's SPEC.
        weights: the hash of its weights.
        version: seewhy's version.
        date: when the run was made.
        command: what was typed.
        facts: anything else, name -> text (torch's version, the device, the time taken).
    """

    model: str
    weights: str
    version: str
    date: str
    command: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ViewEntry:
    """One method's view of one photo.

    Attributes:
        panel: the panel of the figure, shown again here; an :class:`ErrorPanel` where the method failed.
        formula: one line.
        source: paper and equation.
        misleads: how the method misleads, in a sentence or two.
        parameters: name -> value, shown by ``str``.
        notes: warnings.
    """

    panel: MapPanel | PicturePanel | ErrorPanel
    formula: str = ""
    source: str = ""
    misleads: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetEntry:
    """One class that is explained.

    Attributes:
        name: the class.
        index: its index among the model's outputs.
        score: pre-softmax.
        probability: 0..1, or None where the model's outputs are no classes.
        views: what the methods show.
    """

    name: str
    index: int | None
    score: float
    probability: float | None
    views: tuple[ViewEntry, ...]


@dataclass(frozen=True)
class PhotoEntry:
    """One photo of a run.

    Attributes:
        path: as it was given.
        crop: what the model saw; None where the photo could not be read.
        top: (name, probability 0..1), the most probable first.
        targets: the classes that are explained.
        preprocessing: one line.
        notes: what was not as in the file, warnings.
        error: why the photo is not explained; one line.
    """

    path: str
    crop: Image.Image | None = None
    top: tuple[tuple[str, float], ...] = ()
    targets: tuple[TargetEntry, ...] = ()
    preprocessing: str = ""
    notes: tuple[str, ...] = ()
    error: str | None = None

"""Properties of the whole photo that go with a class far beyond what objects do: tint, brightness, blur, JPEG, size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..candidate import Candidate
from ..edits.global_edits import Global
from ..evidence import Evidence
from ..eye import Pixels
from ..finding import Finding
from .jpeg_traces import QUALITIES, quality
from .photo_sizes import photo_sizes
from .ranks import area, best_threshold
from .stamps import CARRIERS, Sample, sampled, seen
from .whole_photo import PROPERTIES, Property, given, some_of

Doubles = npt.NDArray[np.float64]

APART = 0.86
"""The area under the ROC curve, a class against all others, from which on a property is beyond what objects do. Of the
classes of CIFAR-10 it is 0.78 at most (the white of frogs)."""
ALSO = 0.78
"""That of other properties which may be what was changed, where one is beyond ``APART``: by noise, too, sharpened
photos are told apart."""
NEARER = 0.9
"""What was changed in a class, done to others, leaves at most this share of how far they are from it in all of them."""
EACH = 0.72
"""The least area against each other class by itself: what two classes share is of their objects."""
RARE = 0.98
"""The quantile of the others beyond which hardly any of them is."""
TOGETHER = 32
"""Photos that are measured at once."""
LONGEST = 256
"""Pixels of a side of a photo that are looked at for traces of JPEG."""


@dataclass(frozen=True, eq=False)
class Told:
    """A property that sets a class apart from all others.

    Attributes:
        found: the property.
        side: -1 or 1, where the class lies.
        apart: the area under the ROC curve, of the class against all others.
        threshold: best parts the class from the others; the class is beyond it, on its side.
        rare: the share of the class beyond the quantile ``RARE`` of the others.
    """

    found: Property
    side: int
    apart: float
    threshold: float
    rare: float

    def beyond(self, values: Doubles) -> npt.NDArray[np.bool_]:
        """(N,), which of these values of the property are like the class's."""
        beyond: npt.NDArray[np.bool_] = self.side * values > self.side * self.threshold
        return beyond


def global_properties(evidence: Evidence) -> list[Candidate | Finding]:
    """Properties that nearly all photos of a class have, and hardly any others.

    For each class with at least 20 proposing photos at most one candidate, of those properties that it is told apart
    by: that whose change makes other photos most like it. Beside them findings of the size and the shape of the files,
    which no change of pixels tests.

    Raises:
        PhotoError: a photo cannot be read any more.
    """
    found: list[Candidate | Finding] = []
    measured = Measured(evidence)
    for sample in sampled(evidence):
        here, there = (sample.own_rows, sample.own), (sample.other_rows, sample.others)
        values = {each.name: (measured(each, *here), measured(each, *there)) for each in PROPERTIES}
        told = told_apart(sample.own, sample.others, evidence.rows.truth[sample.other_rows], values)
        if told is not None:
            found.append(_candidate(evidence, sample, told, measured))
    return [*found, *photo_sizes(evidence, APART, EACH)]


class Measured:
    """The properties of an audit's photos: each of a photo is measured once, however many classes it is beside.

    The quality of JPEG is that of the file.
    """

    def __init__(self, evidence: Evidence):
        self._evidence = evidence
        self._values: dict[str, Doubles] = {}

    def __call__(self, one: Property, numbers: npt.NDArray[Any], pixels: Pixels | None = None) -> Doubles:
        """(n,), of the rows with these numbers, whose pixels (n, H, W, 3) are read where they are not given.

        Raises:
            PhotoError: a photo cannot be read any more.
        """
        values = self._values.setdefault(one.name, np.full(len(self._evidence.rows), np.nan))
        missing = np.flatnonzero(np.isnan(values[numbers]))
        for part in np.array_split(missing, -(-len(missing) // TOGETHER)) if len(missing) else ():
            if one.measure is quality:
                values[numbers[part]] = file_quality(self._evidence, numbers[part])
            else:
                values[numbers[part]] = one.measure(
                    seen(self._evidence, numbers[part]) if pixels is None else pixels[part]
                )
        told: Doubles = values[numbers]
        return told


def told_apart(
    own: Pixels, others: Pixels, classes: npt.NDArray[Any], values: Mapping[str, tuple[Doubles, Doubles]] | None = None
) -> Told | None:
    """The property that sets a class apart; None where none does.

    Args:
        own, others: (N, H, W, 3) and (M, H, W, 3) uint8, photos of the class and of others.
        classes: (M,), of the others.
        values: of properties that were measured, by their names, those of ``own`` (N,) and of ``others`` (M,); None:
            all are measured in these pixels.
    """
    found: list[Told] = []
    for each in PROPERTIES:
        here, there = (each.measure(own), each.measure(others)) if values is None else values[each.name]
        for side in each.sides:
            apart = area(side * here, side * there)
            if apart < ALSO:
                continue
            if min(area(side * here, side * there[classes == index]) for index in np.unique(classes)) >= EACH:
                rare = float((side * here > np.quantile(side * there, RARE)).mean())
                found.append(Told(each, side, apart, side * best_threshold(side * here, side * there), rare))
    if max((told.apart for told in found), default=0.0) < APART:
        return None
    some = some_of(others)
    plain = [each.measure(some) for each in PROPERTIES]
    spreads = [max(each.unit, float(np.subtract(*np.percentile(values, (75, 25)))))
               for each, values in zip(PROPERTIES, plain, strict=True)]  # fmt: skip
    goal = _medians(each.measure(own) for each in PROPERTIES)

    def far(measured: Iterable[Doubles]) -> float:
        """How far photos are from the class, in all properties together: a blur leaves zeros as JPEG does, and JPEG
        blurs, but only one of them makes other photos like those of the class.
        """
        return float((np.abs(_medians(measured) - goal) / spreads).sum())

    changed = (given(told.found.fit(own, others), some) for told in found)
    after = [far(each.measure(photos) for each in PROPERTIES) for photos in changed]
    best = int(np.argmin(after))
    return found[best] if after[best] <= NEARER * far(plain) else None


def _medians(measured: Iterable[Doubles]) -> Doubles:
    return np.array([np.median(values) for values in measured])


def file_quality(evidence: Evidence, numbers: npt.NDArray[Any]) -> Doubles:
    """(N,), the quality of JPEG that is seen in the pixels of these rows' files, before they were made smaller.

    Raises:
        PhotoError: a photo cannot be read any more.
    """
    found = np.zeros(len(numbers))
    for part in np.array_split(np.arange(len(numbers)), max(1, len(numbers) // 64)):
        crops = [_middle(evidence.eye.photo(evidence.rows.paths[numbers[place]])) for place in part]
        for shape in {crop.shape for crop in crops}:
            same = [index for index, crop in enumerate(crops) if crop.shape == shape]
            found[part[same]] = quality(np.stack([crops[index] for index in same]))
    return found


def _middle(photo: Image.Image) -> Pixels:
    """The middle of a photo, from the first pixel of a block on."""
    left, top = (max(0, side - LONGEST) // 16 * 8 for side in photo.size)
    box = (left, top, min(photo.width, left + LONGEST), min(photo.height, top + LONGEST))
    return np.asarray(photo.crop(box).convert("RGB"))


def seen_jpeg(evidence: Evidence, numbers: npt.NDArray[Any], goal: float) -> Global:
    """The quality that changes what the model sees of photos as much as ``goal`` changes their files.

    Where the model sees the files as they are, it is ``goal``; where they are made smaller, it is higher.
    """
    eye, rng = evidence.eye, np.random.default_rng(0)  # JPEG draws nothing
    whole = [eye.photo(evidence.rows.paths[number]).convert("RGB") for number in numbers[:: max(1, len(numbers) // 16)]]
    views = [np.asarray(eye.classifier.crop(photo)) for photo in whole]
    if all(view.shape[1::-1] == photo.size for view, photo in zip(views, whole, strict=True)):
        return Global("jpeg", goal)
    file = Global("jpeg", goal)
    wanted = np.median(
        [
            _far(np.asarray(eye.classifier.crop(Image.fromarray(file.added(np.asarray(photo), rng)))), view)
            for photo, view in zip(whole, views, strict=True)
        ]
    )
    tried = [Global("jpeg", float(each)) for each in (*QUALITIES, 95)]
    far = [abs(np.median([_far(each.added(view, rng), view) for view in views]) - wanted) for each in tried]
    return tried[int(np.argmin(far))]


def _far(pixels: Pixels, others: Pixels) -> float:
    return float(np.sqrt(((pixels.astype(np.float64) - others) ** 2).mean()))


def _candidate(evidence: Evidence, sample: Sample, told: Told, measured: Measured) -> Candidate:
    """How the class would look without the property is not known. It is taken to look like the other classes
    together; like each of them alone is as likely.
    """
    numbers = np.flatnonzero(evidence.rows.truth == sample.index)[:CARRIERS]
    compressed = told.found.measure is quality
    carriers = numbers[told.beyond(measured(told.found, numbers))]
    as_likely: tuple[Global, ...] = ()
    if compressed:
        qualities = measured(told.found, sample.own_rows)
        edit = seen_jpeg(evidence, sample.other_rows, float(np.median(qualities[told.beyond(qualities)])))
    else:  # without those of the class that lack it
        own = sample.own[told.beyond(measured(told.found, sample.own_rows))]
        edit = told.found.fit(own, sample.others)
        classes = evidence.rows.truth[sample.other_rows]
        as_likely = tuple(told.found.fit(own, sample.others[classes == index]) for index in np.unique(classes))
    name, said = evidence.label(sample.index), edit.describe()
    why = (
        f"by {told.found.name}, photos of {name} are told from others with an area under the curve of "
        f"{told.apart:.2f}; {told.rare:.0%} of them are beyond {RARE:.0%} of the others: about {said['name']}"
    )
    return Candidate(
        id=f"global-{told.found.name}-{name}-1", kind="global", class_index=sample.index, class_name=name, edit=edit,
        carriers=carriers, repeats=True, why=why, as_likely=as_likely,
    )  # fmt: skip

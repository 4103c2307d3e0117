"""Properties of the whole photo that go with a class far beyond what objects do: tint, brightness, blur, JPEG, size."""

from __future__ import annotations

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
EACH = 0.72
"""The least area against each other class by itself: what two classes share is of their objects."""
RARE = 0.98
"""The quantile of the others beyond which hardly any of them is."""
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
    samples = list(sampled(evidence))
    looked_at = np.unique([row for each in samples for row in (*each.own_rows, *each.other_rows)]).astype(np.int64)
    by_row = np.zeros(len(evidence.rows))
    by_row[looked_at] = file_quality(evidence, looked_at)
    for sample in samples:
        qualities = by_row[sample.own_rows], by_row[sample.other_rows]
        told = told_apart(sample.own, sample.others, evidence.rows.truth[sample.other_rows], qualities)
        if told is not None:
            found.append(_candidate(evidence, sample, told, qualities))
    return [*found, *photo_sizes(evidence, APART, EACH)]


def told_apart(
    own: Pixels, others: Pixels, classes: npt.NDArray[Any], qualities: tuple[Doubles, Doubles] | None = None
) -> Told | None:
    """The property that sets a class apart; None where none does.

    Args:
        own, others: (N, H, W, 3) and (M, H, W, 3) uint8, photos of the class and of others.
        classes: (M,), of the others.
        qualities: (N,) and (M,), of JPEG, where they were read from the files; None: from these pixels.
    """
    found: list[Told] = []
    for each in PROPERTIES:
        here, there = each.measure(own), each.measure(others)
        if each.measure is quality and qualities is not None:
            here, there = qualities
        for side in each.sides:
            apart = area(side * here, side * there)
            if apart < APART:
                continue
            if min(area(side * here, side * there[classes == index]) for index in np.unique(classes)) >= EACH:
                rare = float((side * here > np.quantile(side * there, RARE)).mean())
                found.append(Told(each, side, apart, side * best_threshold(side * here, side * there), rare))
    if len(found) < 2:
        return found[0] if found else None
    return min(found, key=lambda told: _unlike(own, others, told.found))


def _unlike(own: Pixels, others: Pixels, chosen: Property) -> float:
    """How far other photos are from the class, in all properties together, once they were given the chosen one: a blur
    leaves zeros as JPEG does, and JPEG blurs, but only one of them makes the other photos like those of the class.
    """
    edit, some = chosen.fit(own, others), some_of(others)
    changed = given(edit, some)
    far = 0.0
    for each in PROPERTIES:
        spread = max(each.unit, float(np.subtract(*np.percentile(each.measure(some), (75, 25)))))
        far += abs(float(np.median(each.measure(changed)) - np.median(each.measure(own)))) / spread
    return far


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


def _candidate(evidence: Evidence, sample: Sample, told: Told, qualities: tuple[Doubles, Doubles]) -> Candidate:
    """How the class would look without the property is not known. It is taken to look like the other classes
    together; like each of them alone is as likely.
    """
    numbers = np.flatnonzero(evidence.rows.truth == sample.index)[:CARRIERS]
    compressed = told.found.measure is quality
    values = [
        file_quality(evidence, part) if compressed else told.found.measure(seen(evidence, part))
        for part in np.array_split(numbers, -(-len(numbers) // 256))
    ]
    carriers = numbers[told.beyond(np.concatenate(values))]
    as_likely: tuple[Global, ...] = ()
    if compressed:
        edit = seen_jpeg(evidence, sample.other_rows, float(np.median(qualities[0][told.beyond(qualities[0])])))
    else:  # without those of the class that lack it
        own = sample.own[told.beyond(told.found.measure(sample.own))]
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

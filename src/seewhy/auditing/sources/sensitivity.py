"""Sensitivity: what everyday changes of a photo cost in accuracy, overall and per class.

The changes are a few of those of Hendrycks and Dietterich ("Benchmarking neural network robustness to common
corruptions and perturbations", ICLR 2019), made on the pixels that the model sees. Each is compared with the unchanged
photos, pair by pair.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from ...pictures.cells import percentage
from ..evidence import Evidence
from ..eye import Pixels
from ..finding import Finding
from .paired import Change, Mask, Sample, compared, is_right, sampled

JPEG_QUALITY = 75
BLUR = 1 / 100
BRIGHTER = 0.2
KEPT = 7 / 8
DEGREES = 10
LEAST_OF_A_CLASS = 5
LEAST_LOSS = 0.1
"""Of the class that the sentence names."""


@dataclass(frozen=True)
class Everyday:
    """One change.

    Attributes:
        id: "jpeg".
        name: as it goes after "after": "JPEG at quality 75".
        change: of a picture RGB of the model's size, to another.
        augmentation: a line of ``torchvision.transforms.v2`` that trains for it; sigma is in pixels of the input.
    """

    id: str
    name: str
    change: Callable[[Image.Image], Image.Image]
    augmentation: str


def sensitivity(evidence: Evidence) -> list[Finding]:
    """One finding for each everyday change, on up to 400 labelled photos; [] where no truth is known."""
    sample = sampled(evidence, "sensitivity")
    if sample is None:
        return []
    before = is_right(evidence.eye, sample.pixels, sample.truth)
    return [_finding(evidence, each, sample, before) for each in everyday(*evidence.eye.classifier.input_size)]


def changed(each: Everyday, pixels: Pixels) -> Pixels:
    """Pixels (S, H, W, 3) uint8 after the change."""
    return np.stack([np.asarray(each.change(Image.fromarray(one))) for one in pixels])


def everyday(height: int, width: int) -> tuple[Everyday, ...]:
    """The changes, for pictures of this size."""
    sigma = max(height, width) * BLUR
    kernel = 2 * max(round(3 * 2 * sigma), 1) + 1
    return (
        Everyday("jpeg", f"JPEG at quality {JPEG_QUALITY}", _jpeg, "v2.JPEG(quality=(50, 100))"),
        Everyday(
            "blur",
            f"a blur of {sigma:.2g} pixels",
            lambda image: image.filter(ImageFilter.GaussianBlur(sigma)),
            f"v2.RandomApply([v2.GaussianBlur({kernel}, sigma=({sigma / 10:.2g}, {2 * sigma:.2g}))], p=0.3)",
        ),
        Everyday(
            "darker",
            f"brightness -{BRIGHTER:.0%}".replace("%", " %"),
            lambda image: ImageEnhance.Brightness(image).enhance(1 - BRIGHTER),
            "v2.ColorJitter(brightness=0.3)",
        ),
        Everyday(
            "brighter",
            f"brightness +{BRIGHTER:.0%}".replace("%", " %"),
            lambda image: ImageEnhance.Brightness(image).enhance(1 + BRIGHTER),
            "v2.ColorJitter(brightness=0.3)",
        ),
        Everyday(
            "crop",
            "cutting out the centre 7/8 and scaling it back",
            _cropped,
            f"v2.RandomResizedCrop(({height}, {width}), scale=(0.6, 1.0), antialias=True)",
        ),
        Everyday("mirror", "mirroring", ImageOps.mirror, "v2.RandomHorizontalFlip()"),
        Everyday(
            "grey",
            "taking away the colour",
            lambda image: image.convert("L").convert("RGB"),
            "v2.RandomGrayscale(p=0.2)",
        ),
        Everyday("rotation", f"a rotation by {DEGREES} degrees", _rotated, f"v2.RandomRotation({DEGREES + 5})"),
    )


def _finding(evidence: Evidence, each: Everyday, sample: Sample, before: Mask) -> Finding:
    after = is_right(evidence.eye, changed(each, sample.pixels), sample.truth)
    change = compared(before, after)
    classes: dict[str, dict[str, Any]] = {}
    for index in np.unique(sample.truth).tolist():
        name = evidence.label(index)
        name = f"{name} ({index})" if name in classes else name
        classes[name] = _of_class(sample.truth == index, before, after)
    return Finding(
        id=f"sensitivity-{each.id}",
        kind="sensitivity",
        sentence=_sentence(each, change, classes, len(sample)),
        effect=change.effect,
        ci=change.ci,
        p=change.p,
        carriers=tuple(evidence.rows.paths[row] for row in sample.rows[before & ~after].tolist()),
        transform={"kind": each.id, "name": each.name, "of": list(evidence.eye.classifier.input_size)},
        controls={"unchanged": change.before},
        remedy=(f"{each.augmentation}  # torchvision.transforms.v2, while training",) if change.effect < 0 else (),
        detail={
            "photos": len(sample),
            "accuracy": change.before,
            "accuracy_changed": change.after,
            "broken": change.broken,
            "mended": change.mended,
            "classes": classes,
        },
    )


def _sentence(each: Everyday, change: Change, classes: dict[str, dict[str, Any]], count: int) -> str:
    accuracy = f"{percentage(change.after)} rather than {percentage(change.before)}"
    said = f"after {each.name} accuracy is {accuracy} ({count} photos)"
    large = {name: one for name, one in classes.items() if one["photos"] >= LEAST_OF_A_CLASS}
    worst = min(large, key=lambda name: (large[name]["effect"], name), default=None)
    if worst is None or len(classes) < 2 or large[worst]["effect"] > min(2 * change.effect, -LEAST_LOSS):
        return said
    one = large[worst]
    return f"{said}; of {worst} {percentage(one['accuracy_changed'])} rather than {percentage(one['accuracy'])}"


def _of_class(members: Mask, before: Mask, after: Mask) -> dict[str, Any]:
    change = compared(before[members], after[members])
    return {
        "photos": int(members.sum()),
        "accuracy": change.before,
        "accuracy_changed": change.after,
        "effect": change.effect,
        "p": change.p,
    }


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    file.seek(0)
    with Image.open(file) as again:
        rgb: Image.Image = again.convert("RGB")
        return rgb


def _cropped(image: Image.Image) -> Image.Image:
    across, down = image.width * (1 - KEPT) / 2, image.height * (1 - KEPT) / 2
    box = (across, down, image.width - across, image.height - down)
    return image.resize(image.size, Image.Resampling.BILINEAR, box=box)


def _rotated(image: Image.Image) -> Image.Image:
    """About the centre, with the photo mirrored at its edges, so that no black corners are seen."""
    pixels = np.asarray(image)
    down, across = (max(side // 4, 1) for side in pixels.shape[:2])
    wide = Image.fromarray(np.pad(pixels, ((down, down), (across, across), (0, 0)), mode="symmetric"))
    turned = wide.rotate(DEGREES, Image.Resampling.BILINEAR)
    return turned.crop((across, down, across + image.width, down + image.height))

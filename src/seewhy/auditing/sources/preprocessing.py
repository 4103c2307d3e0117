"""Preprocessing: whether another way to make inputs of photos gives better decisions.

A network that was trained for pixels in [-1, 1] and is given ImageNet's normalisation still works, only worse, and
nobody is told. On labelled photos each usual way is tried in place of the classifier's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import ModelError
from ...models import BorrowedPreprocessing, Classifier, Preprocessing
from ...models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from ...pictures.cells import percentage
from ..evidence import Evidence
from ..eye import Eye
from ..finding import Finding
from .paired import Change, Sample, compared, decided, is_right, readable, sampled

Values = tuple[float, ...]

SAME = 0.02
"""Means that differ by less, and deviations by a smaller share, are the same way, such as (v - 127) / 128
and (v - 127.5) / 127.5."""
RATIO = 256 / 224
"""Of the shorter side to the crop, as ImageNet's networks are usually tested."""


@dataclass(frozen=True, eq=False)
class Way:
    """One way to make inputs.

    Attributes:
        id: "minus-one-to-one".
        name: as it goes after "with": "the pixels scaled as (v - 127.5) / 127.5".
        instead: what the classifier does there.
        transform: the classifier's, changed in this.
        changes: what was changed in it, ready for JSON.
        pixels_too: the model sees other pixels, not only otherwise normalised ones.
    """

    id: str
    name: str
    instead: str
    transform: Preprocessing | BorrowedPreprocessing
    changes: dict[str, Any]
    pixels_too: bool = False


@dataclass(frozen=True, eq=False)
class Tried:
    """A way that was tried: what it changes, the mean probability of the truth, and the photos that it mends."""

    way: Way
    change: Change
    probability: float
    mended: tuple[str, ...]


def preprocessing(evidence: Evidence) -> list[Finding]:
    """One finding, of the way with the highest accuracy; [] where no truth is known.

    Its p is McNemar's times the number of ways that were tried (Bonferroni), and 1 where no way is better than the
    classifier's own.
    """
    sample = sampled(evidence, "preprocessing")
    if sample is None:
        return []
    eye = evidence.eye
    own = is_right(eye, sample.pixels, sample.truth)
    tried: list[Tried] = []
    for way in ways(eye.classifier.transform):
        other = Eye(replace(eye.classifier, transform=way.transform), eye.root, eye.batch_size)
        rows, pixels = sample.rows, sample.pixels
        if way.pixels_too:
            seen = dict(readable(other, evidence, rows))
            if len(seen) < len(rows):
                continue
            pixels = np.concatenate(list(seen.values()))
            if np.array_equal(pixels, sample.pixels):
                continue  # such as stretching, where all photos are square
        try:
            after, probability = decided(other, pixels, sample.truth)
        except ModelError:
            continue  # the network fails on such inputs, so they are not what it was made for
        eye.forwards += other.forwards
        mended = tuple(evidence.rows.paths[row] for row in rows[after & ~own].tolist())
        tried.append(Tried(way, compared(own, after), probability, mended))
    if not tried:
        return []
    return [_finding(evidence, sample, tried)]


def ways(own: Preprocessing | BorrowedPreprocessing) -> Iterator[Way]:
    """The usual ways that are not the classifier's own; of a borrowed transform only the normalisations."""
    channels, now = len(own.mean), _normalisation(own)
    for id, name, mean, std in _usual(channels):
        if not _same(own, mean, std):
            changed = replace(own, mean=mean, std=std)
            yield Way(id, name, now, changed, {"mean": mean, "std": std})
    if isinstance(own, BorrowedPreprocessing):
        return
    if own.order in ("RGB", "BGR"):
        order: Any = "BGR" if own.order == "RGB" else "RGB"
        name = f"the channels in the order {order}"
        yield Way(order.lower(), name, str(own.order), replace(own, order=order), {"order": order})
    larger = (round(own.input_size[0] * RATIO), round(own.input_size[1] * RATIO))
    for id, fit, resize in (("stretch", "stretch", None), ("centre", "cover", larger), ("whole", "cover", None)):
        other = replace(own, fit=fit, resize=resize)  # type: ignore[arg-type]
        if (other.fit, other.resize or other.input_size) != (own.fit, own.resize or own.input_size):
            yield Way(id, _geometry(other), _geometry(own), other, {"fit": fit, "resize": resize}, pixels_too=True)


def _usual(channels: int) -> Iterator[tuple[str, str, Values, Values]]:
    yield "zero-to-one", "the pixels scaled as v / 255", (0.0,) * channels, (1.0,) * channels
    yield "minus-one-to-one", "the pixels scaled as (v - 127.5) / 127.5", (0.5,) * channels, (0.5,) * channels
    yield "as-they-are", "the pixels as they are, 0 to 255", (0.0,) * channels, (1 / 255,) * channels
    if channels == len(IMAGENET_MEAN):
        yield "imagenet", "ImageNet's mean and deviation", IMAGENET_MEAN, IMAGENET_STD


def _normalisation(own: Preprocessing | BorrowedPreprocessing) -> str:
    for _, name, mean, std in _usual(len(own.mean)):
        if _same(own, mean, std):
            return name.removeprefix("the pixels scaled as ")
    return f"mean {_numbers(own.mean)} and deviation {_numbers(own.std)}"


def _same(own: Preprocessing | BorrowedPreprocessing, mean: Values, std: Values) -> bool:
    means = all(abs(a - b) <= SAME for a, b in zip(own.mean, mean, strict=True))
    return means and all(abs(a - b) <= SAME * b for a, b in zip(own.std, std, strict=True))


def _geometry(transform: Preprocessing) -> str:
    (height, width), resize = transform.input_size, transform.resize or transform.input_size
    if transform.fit == "stretch" and resize == transform.input_size:
        return f"the whole photo stretched to {height} x {width}"
    if transform.fit == "cover":
        return f"the shorter side scaled to {min(resize)} and the centre {height} x {width} cut out"
    return f"the photo scaled ({transform.fit}) to {resize[0]} x {resize[1]} and the centre {height} x {width} cut out"


def _finding(evidence: Evidence, sample: Sample, tried: list[Tried]) -> Finding:
    best = max(tried, key=lambda one: (one.change.after, one.probability))
    way, change = best.way, best.change
    better, count = change.effect > 0, len(sample)
    if better:
        sentence = (
            f"with {way.name} instead of {way.instead} accuracy is {percentage(change.after)} rather than "
            f"{percentage(change.before)} ({count} photos)"
        )
    else:
        sentence = (
            f"none of {len(tried)} other ways to make inputs of photos is better than the model's own "
            f"({percentage(change.before)} of {count} photos are right)"
        )
    return Finding(
        id="preprocessing",
        kind="preprocessing",
        sentence=sentence,
        effect=change.effect,
        ci=change.ci,
        p=min(change.p * len(tried), 1.0) if better else 1.0,
        explained=max(round(change.effect * int(evidence.rows.known.sum())), 0),
        carriers=best.mended if better else (),
        transform={"kind": "preprocessing", "id": way.id, **way.changes},
        controls={"its own": change.before},
        remedy=_remedy(evidence.eye.classifier, way) if better else (),
        detail={
            "photos": count,
            "own": evidence.eye.classifier.transform.describe(),
            "tried": [
                {
                    "id": one.way.id,
                    "way": one.way.name,
                    "accuracy": one.change.after,
                    "effect": one.change.effect,
                    "ci": one.change.ci,
                    "p": one.change.p,
                }
                for one in sorted(tried, key=lambda one: -one.change.after)
            ],
        },
    )


def _remedy(classifier: Classifier, way: Way) -> tuple[str, ...]:
    """Code that makes the classifier so."""
    mean, std = _list(way.transform.mean), _list(way.transform.std)
    if isinstance(classifier.transform, BorrowedPreprocessing):
        return (f"in the model's own transform: v2.Normalize(mean={mean}, std={std})",)
    if "mean" in way.changes:
        return (
            f"seewhy.classifier(module, labels=..., mean={mean}, std={std})",
            f"on the command line: --mean {mean[1:-1].replace(' ', '')} --std {std[1:-1].replace(' ', '')}",
        )
    changes = ", ".join(f"{name}={value!r}" for name, value in way.changes.items())
    return (
        f"dataclasses.replace(classifier, transform=dataclasses.replace(classifier.transform, {changes}))",
        "and the same wherever else the model is given photos",
    )


def _list(values: Values) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in values)}]"


def _numbers(values: Values) -> str:
    return " ".join(dict.fromkeys(f"{value:.3g}" for value in values))

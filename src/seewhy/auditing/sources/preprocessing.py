"""Preprocessing: whether another way to make inputs of photos gives better decisions.

A network that was trained for pixels in [-1, 1] and is given ImageNet's normalisation still works, only worse, and
nobody is told. On labelled photos each usual way is tried in place of the classifier's own. Decisions are compared by
McNemar's test. Of few photos, or of easy ones, too few decisions change for it; then the lead of the true class over
the others tells, in deviations of the photo's scores, by flipping the signs of its changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...models import BorrowedPreprocessing, Classifier, Preprocessing
from ...models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from ...pictures.cells import percentage
from ..correction import RATE
from ..evidence import Evidence
from ..eye import Eye
from ..finding import Finding
from ..statistics import paired_interval, sign_flip
from .paired import Change, Sample, compared, decided, readable, sampled

Values = tuple[float, ...]

SAME = 0.02
"""Means that differ by less, and deviations by a smaller share, are the same way, such as (v - 127) / 128
and (v - 127.5) / 127.5."""
LEAST_LEAD = 0.5
"""Deviations of the scores by which the true class must lead by more on average."""
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
    """A way that was tried: what it changes, by how much more the true class leads (S,), and the photos it mends."""

    way: Way
    change: Change
    gained: npt.NDArray[np.float64]
    mended: tuple[str, ...]


def preprocessing(evidence: Evidence) -> list[Finding]:
    """One finding, of the way with the highest accuracy; [] where no truth is known.

    Its p is McNemar's, or that of the leads, times the number of ways that were tried, and 1 where no way is better
    than the classifier's own: of two tests the one-sided p, half of it, is corrected for all of them (Bonferroni).
    """
    sample = sampled(evidence, "preprocessing")
    if sample is None:
        return []
    eye = evidence.eye
    own = decided(eye, sample.pixels, sample.truth)
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
            after = decided(other, pixels, sample.truth)
        except ModelError:
            continue  # the network fails on such inputs, so they are not what it was made for
        eye.forwards += other.forwards
        mended = tuple(evidence.rows.paths[row] for row in rows[after.right & ~own.right].tolist())
        tried.append(Tried(way, compared(own.right, after.right), after.lead - own.lead, mended))
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


@dataclass(frozen=True)
class Measured:
    """How much better a way is, of accuracy or of leads, with what the sentence says of it; ``level`` is the
    classifier's own accuracy, beside which the effect is drawn.
    """

    of: str
    said: str
    effect: float
    ci: tuple[float, float]
    p: float
    level: float | None = None


def _finding(evidence: Evidence, sample: Sample, tried: list[Tried]) -> Finding:
    best = max(tried, key=lambda one: (one.change.after, one.gained.mean()))
    way, change, count = best.way, best.change, len(sample)
    measured = _by_decisions(best, len(tried), count)
    if measured.p > RATE and change.effect >= 0:
        measured = _by_leads(best, len(tried), evidence.random("leads")) or measured
    better = measured.effect > 0
    if better:
        sentence = f"with {way.name} instead of {way.instead} {measured.said}"
    else:
        sentence = (
            f"none of {len(tried)} other ways to make inputs of photos is better than the model's own "
            f"({percentage(change.before)} of {count} photos are right)"
        )
    return Finding(
        id="preprocessing",
        kind="preprocessing",
        sentence=sentence,
        effect=measured.effect,
        ci=measured.ci,
        p=measured.p,
        explained=max(round(change.effect * int(evidence.rows.known.sum())), 0),
        carriers=best.mended if better else (),
        transform={"kind": "preprocessing", "id": way.id, **way.changes},
        controls={} if measured.level is None else {"its own": measured.level},
        remedy=_remedy(evidence.eye.classifier, way) if better else (),
        detail={
            "photos": count,
            "of": measured.of,
            "own": evidence.eye.classifier.transform.describe(),
            "tried": [
                {
                    "id": one.way.id,
                    "way": one.way.name,
                    "accuracy": one.change.after,
                    "effect": one.change.effect,
                    "ci": one.change.ci,
                    "p": one.change.p,
                    "lead": float(one.gained.mean()),
                }
                for one in sorted(tried, key=lambda one: -one.change.after)
            ],
        },
    )


def _by_decisions(best: Tried, ways: int, count: int) -> Measured:
    change = best.change
    p = min(change.p * ways, 1.0) if change.effect > 0 else 1.0
    said = f"{_accuracy(change)} ({count} photos)"
    return Measured("accuracy", said, change.effect, change.ci, p, change.before)


def _by_leads(best: Tried, ways: int, rng: np.random.Generator) -> Measured | None:
    """None where the leads prove nothing."""
    count, more, less = len(best.gained), int((best.gained > 0).sum()), int((best.gained < 0).sum())
    if more <= less or best.gained.mean() < LEAST_LEAD:
        return None
    p = sign_flip(best.gained, rng) * ways
    if p > RATE:
        return None
    said = f"the true class leads by more in {more} of {count} photos and by less in {less}; {_accuracy(best.change)}"
    return Measured("lead", said, (more - less) / count, paired_interval(less, more, count), p)


def _accuracy(change: Change) -> str:
    return f"accuracy is {percentage(change.after)} rather than {percentage(change.before)}"


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

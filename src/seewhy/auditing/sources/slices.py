"""Weak slices: groups of photos, by features or by a property, with accuracy well below the rest.

Groups are clusters of the features within a class (k-means; Lloyd 1982, started as Arthur and Vassilvitskii 2007) and
fifths of a property of the photo, such as its brightness. Which groups look weak is decided on the proposing photos,
and tested on the others by Fisher's exact test, so that the search does not count as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lgamma

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...pictures.cells import percentage
from ..evidence import Evidence
from ..finding import Finding
from ..passing.rows import Rows
from .labels import unit

LEAST = 15
"""Photos of a slice, and of the rest, on either side."""
LEAST_GAP = 0.05
"""By how much the accuracy of a slice must be below that of the rest, on the proposing photos."""
MOST_FOUND = 6
MOST_SHARED = 0.5
"""Of two slices that share more of their photos than this only the worse is reported."""
PER_CLUSTER = 40
MOST_CLUSTERS = 8
MOST_FITTED = 4_000
ROUNDS = 20
DECIMALS = 5
"""Of a property: means of pixels that are the same differ by rounding."""
FIFTHS = (0.2, 0.4, 0.6, 0.8)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Slice:
    """A group of photos, and those that it is compared with.

    Attributes:
        id: unique among slices.
        what: "photos of cat in cluster 2 of their features".
        inside, outside: (N,) bool.
        class_index: of a group within a class.
        property: what the range is of; None: a cluster.
        range: lowest and highest value.
    """

    id: str
    what: str
    inside: Mask
    outside: Mask
    class_index: int | None = None
    property: str | None = None
    range: tuple[float, float] | None = None


def slices(evidence: Evidence) -> list[Finding]:
    """The few worst slices, each with its one-sided p by Fisher's exact test; [] where none looks weak."""
    measuring = evidence.rows.known & ~evidence.proposing
    found = weak(evidence.rows, evidence.proposing, evidence.random("slices"), evidence.label)
    return [_finding(evidence, each, measuring) for each in found]


def weak(rows: Rows, proposing: Mask, random: np.random.Generator, label: Callable[[int], str]) -> list[Slice]:
    """The few slices that are worst on the proposing photos, whatever the others tell of them.

    Args:
        rows: of all photos.
        proposing: (N,) bool, the photos that tell which slices look weak.
        random: what draws the first centres of clusters.
        label: the name of a class.
    """
    known = rows.known
    proposing, measuring = known & proposing, known & ~proposing
    found = []
    for each in (*_clusters(rows, random, label), *ranges(rows)):
        if all((each.inside & side).sum() >= LEAST for side in (proposing, measuring)) and all(
            (each.outside & side).sum() >= LEAST for side in (proposing, measuring)
        ):
            here, there = rows.right[each.inside & proposing], rows.right[each.outside & proposing]
            gap = float(there.mean() - here.mean())
            if gap >= LEAST_GAP:
                found.append((fisher_less(int(here.sum()), len(here), int(there.sum()), len(there)), each.id, each))
    chosen: list[Slice] = []
    for _, _, each in sorted(found, key=lambda one: one[:2]):
        if all((each.inside & other.inside).sum() <= MOST_SHARED * each.inside.sum() for other in chosen):
            chosen.append(each)
        if len(chosen) == MOST_FOUND:
            break
    return chosen


def slice_of(evidence: Evidence, slice_id: str) -> Slice:
    """The photos of a slice that was found, which the same evidence gives again.

    Raises:
        InputError: there is no such slice.
    """
    for each in (*_clusters(evidence.rows, evidence.random("slices"), evidence.label), *ranges(evidence.rows)):
        if each.id == slice_id:
            return each
    raise InputError(f"{slice_id} is not found in these photos any more", expected="the folder that was audited")


def retold(evidence: Evidence, slice_id: str) -> Finding:
    """A slice that was found, measured with another model of the same features.

    Raises:
        InputError: there is no such slice.
    """
    return _finding(evidence, slice_of(evidence, slice_id), evidence.rows.known & ~evidence.proposing)


def fisher_less(right: int, count: int, others_right: int, others: int) -> float:
    """One-sided p of Fisher's exact test: the chance of at most ``right`` of ``count``, where all right ones are drawn
    at random from both groups.
    """
    total, all_right = count + others, right + others_right
    lowest = max(0, all_right - others)
    ways = [_log_choose(count, k) + _log_choose(others, all_right - k) for k in range(lowest, right + 1)]
    return min(float(np.exp(np.array(ways) - _log_choose(total, all_right)).sum()), 1.0)


def clusters_of(features: npt.NDArray[np.float32], count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """(N,) int64, the cluster of each of the features (N, D) float32, by k-means with k-means++."""
    some = features
    if len(features) > MOST_FITTED:
        some = features[np.sort(random.choice(len(features), MOST_FITTED, replace=False))]
    centres = some[random.integers(len(some))][None]
    while len(centres) < count:
        far = _distances(some, centres).min(1)
        if far.sum() <= 0:
            break  # fewer different features than clusters
        centres = np.concatenate([centres, some[random.choice(len(some), p=far / far.sum())][None]])
    nearest = _distances(some, centres).argmin(1)
    for _ in range(ROUNDS):
        centres = np.stack(
            [some[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(len(centres))]
        )
        before, nearest = nearest, _distances(some, centres).argmin(1)
        if (before == nearest).all():
            break
    return np.asarray(_distances(features, centres).argmin(1), np.int64)


def _clusters(rows: Rows, random: np.random.Generator, label: Callable[[int], str]) -> Iterator[Slice]:
    if not rows.features.shape[1]:
        return
    for index in np.unique(rows.truth[rows.known]).tolist():
        members = np.flatnonzero(rows.truth == index)
        most, features = min(len(members) // PER_CLUSTER, MOST_CLUSTERS), unit(rows.features[members])
        for count in sorted({most // 2, most} - {0, 1}):
            cluster = clusters_of(features, count, random)
            for number in np.unique(cluster).tolist():
                inside = np.zeros(len(rows), np.bool_)
                inside[members[cluster == number]] = True
                what = f"photos of {label(index)} in cluster {number + 1} of {count} of their features"
                outside = (rows.truth == index) & ~inside
                yield Slice(f"slice-{index}-cluster-{number + 1}-of-{count}", what, inside, outside, index)


def ranges(rows: Rows) -> Iterator[Slice]:
    """The fifths of the known photos by each fact, or fewer parts where many have the same value."""
    for name in sorted(rows.facts):
        values = np.round(np.asarray(rows.facts[name], np.float64), DECIMALS)
        there = rows.known & np.isfinite(values)
        if not there.any():
            continue
        edges = np.unique(np.quantile(values[there], FIFTHS))
        fifth = np.searchsorted(edges, values, side="left")
        for number in range(len(edges) + 1):
            inside = there & (fifth == number)
            if inside.any():
                low, high = float(values[inside].min()), float(values[inside].max())
                extent = f"from {low:.4g} to {high:.4g}" if low < high else f"{low:.4g}"
                what = f"photos with {name.replace('_', ' ')} {extent}"
                outside = there & ~inside
                yield Slice(f"slice-{name}-{number + 1}", what, inside, outside, property=name, range=(low, high))


def _finding(evidence: Evidence, each: Slice, measuring: Mask) -> Finding:
    rows = evidence.rows
    here, there = rows.right[each.inside & measuring], rows.right[each.outside & measuring]
    effect = float(here.mean() - there.mean())
    spread = (_variance(here) + _variance(there)) ** 0.5
    rest = "the others" if each.class_index is None else f"the other photos of {evidence.label(each.class_index)}"
    wrong = np.flatnonzero(each.inside & ~rows.right)
    worst = wrong[np.argsort(rows.truth_probability[wrong], kind="stable")]
    if each.property is None:
        remedy = ("look at the photos and at their labels", "collect more photos like these, or weigh them more")
    else:
        remedy = (
            f"collect more photos with such {each.property.replace('_', ' ')}",
            "or make others so by an augmentation while training",
        )
    expected = float(rows.right[each.outside].mean()) * int(each.inside.sum()) - int(rows.right[each.inside].sum())
    called = ""
    if each.class_index is not None and len(wrong):
        most = int(np.bincount(rows.predicted[wrong]).argmax())
        called = f"; those that are wrong are mostly called {evidence.label(most)}"
    return Finding(
        id=each.id,
        kind="slice",
        sentence=(
            f"of {each.what} {percentage(here.mean())} are right, of {rest} {percentage(there.mean())} "
            f"({len(here)} and {len(there)} photos){called}"
        ),
        class_name=None if each.class_index is None else evidence.label(each.class_index),
        effect=effect,
        ci=(max(effect - 1.96 * spread, -1.0), min(effect + 1.96 * spread, 1.0)),
        p=fisher_less(int(here.sum()), len(here), int(there.sum()), len(there)),
        carriers=tuple(rows.paths[row] for row in worst.tolist()),
        remedy=remedy,
        detail={
            "group": each.what,
            "photos": int(each.inside.sum()),
            "wrong_beyond_the_rest": max(round(expected), 0),
            "accuracy": float(here.mean()),
            "accuracy_of_the_rest": float(there.mean()),
            "property": each.property,
            "range": each.range,
        },
    )


def _variance(right: Mask) -> float:
    """Of the share that is right; with one more right and one more wrong, so that it is never 0 (Agresti and Caffo)."""
    share = (float(right.sum()) + 1) / (len(right) + 2)
    return share * (1 - share) / (len(right) + 2)


def _log_choose(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def _distances(features: npt.NDArray[np.float32], centres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, K), squared; never negative."""
    squared = (features**2).sum(1)[:, None] - 2 * features @ centres.T + (centres**2).sum(1)[None]
    return np.asarray(np.maximum(squared, 0), np.float32)

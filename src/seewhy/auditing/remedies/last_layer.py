"""Deep feature reweighting: the last layer is trained again, on as many photos of each group.

Kirichenko, Izmailov and Wilson, "Last layer re-training is sufficient for robustness to spurious correlations", ICLR
2023: features are standardised, and a logistic regression with an L1 penalty is fitted to several draws that have as
many photos of each group; the coefficients are averaged.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]


def last_layer(
    features: Floats, classes: Ints, groups: Ints, draws: int = 10, c: float = 1.0, seed: int = 0,
    *, balanced: bool = True,
) -> tuple[Doubles, Doubles]:  # fmt: skip
    """A last layer that gives every group the same say.

    Args:
        features: (N, D), what the last layer reads.
        classes: (N,), the true class of each photo, 0 to K - 1; each of them has a photo.
        groups: (N,), of photos that count as much together as any other group.
        draws: how many balanced draws are averaged, each without replacement.
        c: the inverse strength of the L1 penalty.
        seed: of the draws.
        balanced: False: draws of the same size, whatever groups their photos are of, for comparison.

    Returns:
        weight (K, D) and bias (K,), float64, for features that are not standardised: ``weight @ feature + bias``.

    Raises:
        InputError: scikit-learn is not installed, or the arrays do not fit.
    """
    count = _checked(features, classes, groups, draws)
    fitter = _fitter(c)
    given = np.asarray(features, np.float64)
    mean, deviation = given.mean(0), given.std(0)
    deviation[deviation < 1e-12] = 1
    scaled = (given - mean) / deviation
    rng = np.random.default_rng([seed, *b"last layer"])
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    weight, bias = np.zeros((count, given.shape[1])), np.zeros(count)
    for _ in range(draws):
        picked = _balanced(members, rng) if balanced else _as_many(members, classes, rng)
        for index, (coefficients, offset) in enumerate(_fitted(fitter, scaled[picked], classes[picked], count)):
            weight[index] += coefficients / draws
            bias[index] += offset / draws
    weight /= deviation
    return weight, bias - weight @ mean


def _checked(features: Floats, classes: Ints, groups: Ints, draws: int) -> int:
    """How many classes there are."""
    if features.ndim != 2 or classes.shape != features.shape[:1] or groups.shape != classes.shape or not len(features):
        shapes = features.shape, classes.shape, groups.shape
        raise InputError("each photo has features, a class and a group", expected="(N, D), (N,), (N,)", got=shapes)
    if not np.isfinite(features).all():
        raise InputError("features are finite")
    if draws < 1:
        raise InputError("a last layer needs a draw", expected="at least 1", got=draws)
    count = int(classes.max()) + 1
    seen = np.unique(classes)
    if count < 2 or len(seen) != count or seen[0] != 0:
        raise InputError(
            "each class needs photos", expected="classes 0 to K - 1, at least two", got=f"{len(seen)} of {count}"
        )
    return count


def _balanced(members: Sequence[Ints], rng: np.random.Generator) -> Ints:
    """As many photos of each group as the smallest has, in the order of their numbers."""
    least = min(map(len, members))
    return np.sort(np.concatenate([rng.choice(each, least, replace=False) for each in members]))


def _as_many(members: Sequence[Ints], classes: Ints, rng: np.random.Generator) -> Ints:
    """As many photos as a balanced draw has, of any group, with one of each class at least."""
    size = len(members) * min(map(len, members))
    order = rng.permutation(len(classes))
    firsts = np.unique(classes[order], return_index=True)[1]
    rest = np.delete(order, firsts)
    return np.sort(np.concatenate([order[firsts], rest[: max(0, size - len(firsts))]]))


def _fitted(fitter: Callable[[], Any], features: Doubles, classes: Ints, count: int) -> list[tuple[Doubles, float]]:
    """Coefficients (D,) and offset of each class: one against the rest; of two classes, half of either sign."""
    if count == 2:
        fit = fitter().fit(features, classes)
        half, offset = fit.coef_[0] / 2, float(fit.intercept_[0]) / 2
        return [(-half, -offset), (half, offset)]
    fits = [fitter().fit(features, classes == index) for index in range(count)]
    return [(fit.coef_[0], float(fit.intercept_[0])) for fit in fits]


def _fitter(c: float) -> Callable[[], Any]:
    """Makes a regression with an L1 penalty, whatever this version of scikit-learn calls it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise InputError('a new last layer needs scikit-learn: pip install "seewhy[audit]"') from error
    known = inspect.signature(LogisticRegression).parameters
    deprecated = known["penalty"].default == "deprecated" if "penalty" in known else True
    penalty: dict[str, Any] = {"l1_ratio": 1.0} if deprecated else {"penalty": "l1"}
    return lambda: LogisticRegression(solver="liblinear", C=c, random_state=0, max_iter=1000, **penalty)

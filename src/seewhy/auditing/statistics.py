"""The few tests and intervals that an audit needs, in numpy."""

from __future__ import annotations

from math import lgamma, log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

EXACT = 12
"""Up to so many differences all of their signs are tried."""

AT_ONCE = 1 << 22
"""Numbers drawn at once."""


def bootstrap_interval(
    values: npt.ArrayLike, rng: np.random.Generator, *, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean (Efron and Tibshirani 1993, section 13.3).

    Args:
        values: (N,), independent of each other.
        rng: what draws.
        level: how often the interval holds the mean.
        draws: samples of N, with replacement.

    Raises:
        InputError: no values, or one that is not finite.
    """
    each = _finite(values)
    means = np.empty(draws)
    step = max(1, AT_ONCE // len(each))
    for start in range(0, draws, step):
        picked = rng.integers(len(each), size=(min(step, draws - start), len(each)))
        means[start : start + len(picked)] = each[picked].mean(1)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def sign_flip(differences: npt.ArrayLike, rng: np.random.Generator, *, flips: int = 4999) -> float:
    """The two-sided p of "the differences lie evenly around 0", by flipping their signs (Fisher 1935, section 21).

    Exact up to ``EXACT`` differences; beyond, by random flips, what was seen counted as one more of them (Phipson and
    Smyth 2010), so that p is never 0.

    Args:
        differences: (N,), one of each pair.
        rng: what draws.
        flips: how many random flips.

    Raises:
        InputError: no differences, or one that is not finite.
    """
    each = _finite(differences)
    count = len(each)
    seen = abs(each.sum()) - 1e-9 * np.abs(each).sum()
    if count <= EXACT:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ each) >= seen).mean())
    as_far = 0
    step = max(1, AT_ONCE // count)
    for start in range(0, flips, step):
        signs = 1 - 2 * rng.integers(2, size=(min(step, flips - start), count))
        as_far += int((np.abs(signs @ each) >= seen).sum())
    return (as_far + 1) / (flips + 1)


def benjamini_hochberg(p: npt.ArrayLike) -> Doubles:
    """(N,) float64, the q of each p: the smallest rate of false discoveries at which it is one.

    Benjamini and Hochberg 1995, as adjusted p (Yekutieli and Benjamini 1999).

    Raises:
        InputError: a p outside [0, 1].
    """
    given = np.asarray(p, np.float64).ravel()
    if not ((given >= 0) & (given <= 1)).all():
        raise InputError("a p is a probability", expected="numbers in [0, 1]", got=given)
    order = np.argsort(given, kind="stable")[::-1]
    ranks = np.arange(len(given), 0, -1)
    q = np.empty(len(given))
    q[order] = np.minimum(np.minimum.accumulate(given[order] * len(given) / ranks), 1)
    return q


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of "both are right equally often" (McNemar 1947; binomial, no correction).

    Args:
        only_first: pairs in which only the first is right.
        only_second: pairs in which only the second is.

    Raises:
        InputError: a negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError("pairs cannot be fewer than none", got=(only_first, only_second))
    count, fewer = only_first + only_second, min(only_first, only_second)
    if 2 * fewer == count:
        return 1.0
    logs = [lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1) - count * log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * float(np.exp(logs).sum()))


def paired_interval(only_first: int, only_second: int, of: int, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of the share of the second less that of the first, of pairs of yes and no.

    Wald's, with one more pair in which only the first, and one in which only the second is right (Bonett and Price
    2012, equation 7).

    Raises:
        InputError: a negative count, or more such pairs than there are, or no pair.
    """
    if min(only_first, only_second) < 0 or only_first + only_second > of or of < 1:
        got = f"{only_first} and {only_second} of {of}"
        raise InputError("a share of pairs is of at least one", expected="counts of as many at most", got=got)
    z = NormalDist().inv_cdf((1 + level) / 2)
    first, second = (only_first + 1) / (of + 2), (only_second + 1) / (of + 2)
    middle = second - first
    half = z * sqrt((first + second - middle**2) / (of + 2))
    return max(-1.0, middle - half), min(1.0, middle + half)


def wilson_interval(hits: int, of: int, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share, ``hits`` of ``of`` (Wilson 1927).

    Raises:
        InputError: not 0 <= hits <= of, or of none.
    """
    if not 0 <= hits <= of or of < 1:
        raise InputError("a share is of at least one", expected="0 <= hits <= of", got=f"{hits} of {of}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _finite(values: npt.ArrayLike) -> Doubles:
    each = np.asarray(values, np.float64).ravel()
    if not len(each) or not np.isfinite(each).all():
        raise InputError("a mean needs numbers", expected="at least one, all finite", got=f"{len(each)} values")
    return each

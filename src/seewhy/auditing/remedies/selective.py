"""Selective last-layer finetuning (SELF): the last layer is trained on, with the photos that two heads disagree about.

LaBonte, Muthukumar and Kumar, "Towards last-layer retraining for group robustness with fewer annotations", NeurIPS
2023, section 5. Nobody need know the groups: where a network and a regularised version of it disagree most, photos on
which a shortcut fails are far more frequent than elsewhere. Of the paper's regularised versions this is dropout, here
of what the last layer reads, so that features alone are enough; misclassification, which needs no second version, is
the other way to choose.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]
By = Literal["disagreement", "loss", "chance"]

DROPPED = 0.5
"""The share of features that dropout sets to zero; the paper tries 0.5, 0.7 and 0.9."""

MASKS = 50
"""Draws of dropout, over which the divergence is averaged."""

STEPS, RATE = 250, 0.01
"""Of the finetuning, as in the paper; the rate is for features that are standardised."""


def disagreement(features: Floats, weight: Floats, bias: Floats, seed: int = 0) -> Doubles:
    """(N,), ``KL(p || p')``: p the probabilities of the last layer, p' those with dropout; the mean over its draws.

    Args:
        features: (N, D), what the last layer reads.
        weight, bias: (K, D) and (K,), the last layer.
        seed: of dropout, the same for all photos.
    """
    rng = np.random.default_rng([seed, *b"dropout"])
    given = np.asarray(features, np.float64)
    plain = _log_softmax(given @ weight.T + bias)
    total = np.zeros(len(given))
    for _ in range(MASKS):
        kept = (rng.random(given.shape[1]) >= DROPPED) / (1 - DROPPED)
        total += (np.exp(plain) * (plain - _log_softmax((given * kept) @ weight.T + bias))).sum(1)
    return total / MASKS


def selected(
    features: Floats, classes: Ints, weight: Floats, bias: Floats, each: int, by: By = "disagreement", seed: int = 0
) -> Ints:
    """Numbers of ``each`` photos of every class (all where it has fewer): those with the most disagreement or loss.

    Args:
        features: (N, D), what the last layer reads, of photos that the network was not trained on.
        classes: (N,), the true class of each.
        weight, bias: (K, D) and (K,), the last layer.
        each: photos of every class.
        by: "disagreement" with dropout; "loss" (misclassification); or "chance", for comparison.
        seed: of dropout, or of chance.

    Raises:
        InputError: the arrays do not fit, or there is no such way to choose.
    """
    _check(features, classes, weight, bias)
    if by not in get_args(By) or each < 1:
        raise InputError("there is no such choice", expected=f"{', '.join(get_args(By))}; at least 1", got=(by, each))
    if by == "disagreement":
        score = disagreement(features, weight, bias, seed)
    elif by == "loss":
        logits = np.asarray(features, np.float64) @ weight.T + bias
        score = -_log_softmax(logits)[np.arange(len(classes)), classes]
    else:
        score = np.random.default_rng([seed, *b"chance"]).random(len(classes))
    order = np.argsort(-score, kind="stable")
    return np.sort(np.concatenate([order[classes[order] == index][:each] for index in np.unique(classes)]))


def finetuned(
    features: Floats, classes: Ints, weight: Floats, bias: Floats, steps: int = STEPS, rate: float = RATE
) -> tuple[Doubles, Doubles]:
    """The last layer after gradient descent on the mean cross-entropy of each class, all classes alike.

    Features are standardised for it, so that a rate means the same for every network; the step is full, so that there
    is nothing to draw.

    Returns:
        weight (K, D) and bias (K,), float64, for features that are not standardised.

    Raises:
        InputError: the arrays do not fit.
    """
    _check(features, classes, weight, bias)
    given = np.asarray(features, np.float64)
    mean, deviation = given.mean(0), given.std(0)
    deviation[deviation < 1e-12] = 1
    scaled = (given - mean) / deviation
    found, offset = weight * deviation, bias + weight @ mean
    truth = np.eye(len(weight))[classes]
    share = (1 / np.bincount(classes, minlength=len(weight)).clip(min=1))[classes] / len(np.unique(classes))
    for _ in range(steps):
        step = (np.exp(_log_softmax(scaled @ found.T + offset)) - truth) * share[:, None]
        found = found - rate * step.T @ scaled
        offset = offset - rate * step.sum(0)
    found = found / deviation
    return found, offset - found @ mean


def _check(features: Floats, classes: Ints, weight: Floats, bias: Floats) -> None:
    count, wide = weight.shape if weight.ndim == 2 else (0, 0)
    if features.shape != (len(classes), wide) or not len(classes) or bias.shape != (count,):
        shapes = features.shape, classes.shape, weight.shape, bias.shape
        raise InputError("photos and the last layer do not fit", expected="(N, D), (N,), (K, D), (K,)", got=shapes)
    if not np.isfinite(features).all():
        raise InputError("features are finite")
    if classes.min() < 0 or classes.max() >= count:
        raise InputError("a class is one of the last layer's", expected=f"0 to {count - 1}", got=classes.max())


def _log_softmax(logits: Doubles) -> Doubles:
    raised = logits - logits.max(1, keepdims=True)
    out: Doubles = raised - np.log(np.exp(raised).sum(1, keepdims=True))
    return out

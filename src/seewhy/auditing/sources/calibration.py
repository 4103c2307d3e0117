"""Calibration: whether photos that are said to be of a class with 80 % are so in 80 % of the cases.

The expected calibration error (Naeini et al., AAAI 2015; Guo et al., "On calibration of modern neural networks", ICML
2017) with 15 bins of confidence; temperature scaling after Guo et al., fitted on the proposing photos and measured on
the others. Tested by consistency resampling (Broecker and Smith, "Increasing the reliability of reliability diagrams",
2007): how often decisions that are right exactly as often as the model says have an error as large as the one found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...pictures.cells import percentage
from ..evidence import Evidence
from ..finding import Finding
from ..passing.rows import Floats, Ints, Rows

BINS = 15
LEAST = 50
"""Photos on each side."""
MOST = 20_000
DRAWS = 1999
STEPS = 60
COLDEST, HOTTEST = 0.05, 20.0
GOLDEN = (5**0.5 - 1) / 2

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Said:
    """What the model said of N photos, as logarithms of probabilities.

    Attributes:
        listed: (N, k + 1), the k most probable classes, and the truth where it is none of them (else minus infinity).
        truth: (N,).
        rest: (N,), each class of the rest; their probability is taken as the same for each.
        unlisted: (N,), how many classes the rest are.
    """

    listed: Numbers
    truth: Numbers
    rest: Numbers
    unlisted: Numbers

    def at(self, temperature: float) -> tuple[Numbers, Numbers]:
        """(N,) the confidence, and (N,) the log-probability of the truth, with all logits divided by temperature."""
        listed = self.listed / temperature
        total = np.log(np.exp(listed).sum(1) + self.unlisted * np.exp(self.rest / temperature))
        return np.exp(listed[:, 0] - total), self.truth / temperature - total


def calibration(evidence: Evidence) -> list[Finding]:
    """One finding: how far confidence is from accuracy, and the temperature that mends it; [] with too few photos."""
    rows = evidence.rows
    usable = rows.known & np.isfinite(rows.top_probabilities).all(1) & np.isfinite(rows.truth_probability)
    random = evidence.random("calibration")
    fitted_on, measured_on = (
        _some(np.flatnonzero(usable & side), random) for side in (evidence.proposing, ~evidence.proposing)
    )
    if min(len(fitted_on), len(measured_on)) < LEAST:
        return []
    outputs = _outputs(evidence)
    temperature = fitted_temperature(said(rows, fitted_on, outputs))
    measured, right = said(rows, measured_on, outputs), rows.right[measured_on]
    (before, nll_before), (after, nll_after) = measured.at(1.0), measured.at(temperature)
    error, mended = calibration_error(before, right), calibration_error(after, right)
    gap = before - right
    effect, margin = float(gap.mean()), 1.96 * float(gap.std(ddof=1)) / len(gap) ** 0.5
    draws = np.array([calibration_error(before, random.random(len(before)) < before) for _ in range(DRAWS)])
    way = "sure" if abs(effect) < 0.005 else "too sure" if effect > 0 else "less sure than it could be"
    sentence = (
        f"the model is {way}: it says {percentage(before.mean())} on average and is right in "
        f"{percentage(right.mean())} of {len(right)} photos (expected calibration error {percentage(error)}; "
        f"{percentage(mended)} at temperature {temperature:.2f})"
    )
    return [
        Finding(
            id="calibration",
            kind="calibration",
            sentence=sentence,
            effect=effect,
            ci=(max(effect - margin, -1.0), min(effect + margin, 1.0)),
            p=float((1 + (draws >= error - 1e-12).sum()) / (1 + DRAWS)),
            transform={"kind": "temperature", "temperature": temperature},
            controls={"calibrated": float(draws.mean())},
            remedy=(f"logits / {temperature:.3f}  # before the softmax; decisions stay as they are",),
            detail={
                "temperature": temperature,
                "fitted_on": len(fitted_on),
                "measured_on": len(measured_on),
                "expected_calibration_error": {"before": error, "after": mended},
                "negative_log_likelihood": {"before": -float(nll_before.mean()), "after": -float(nll_after.mean())},
                "bins": bins(before, right),
            },
        )
    ]


def said(rows: Rows, which: Ints, outputs: int) -> Said:
    """What the model said of the photos ``which`` (row numbers), of ``outputs`` classes."""
    tiny = float(np.finfo(np.float32).tiny)
    top = np.clip(np.asarray(rows.top_probabilities[which], np.float64), tiny, 1)
    truth = np.clip(np.asarray(rows.truth_probability[which], np.float64), tiny, 1)
    missing = ~(rows.top_classes[which] == rows.truth[which][:, None]).any(1)
    unlisted = np.maximum(outputs - top.shape[1] - missing, 0).astype(np.float64)
    rest = np.clip(1 - top.sum(1) - np.where(missing, truth, 0), tiny, 1) / np.maximum(unlisted, 1)
    listed = np.concatenate([np.log(top), np.where(missing, np.log(truth), -np.inf)[:, None]], axis=1)
    return Said(listed, np.log(truth), np.log(rest), unlisted)


def fitted_temperature(measured: Said) -> float:
    """The temperature of the least negative log-likelihood: golden-section search over its logarithm, in which the
    likelihood of one over the temperature is concave, so there is one valley.
    """
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if measured.at(float(np.exp(left)))[1].mean() >= measured.at(float(np.exp(right)))[1].mean():
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """The expected calibration error of (N,) confidences: over 15 bins the mean of |confidence - accuracy|, weighted
    by the photos in each.
    """
    bin_of = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    off = np.bincount(bin_of, confidence - right, BINS)
    return float(np.abs(off).sum() / len(confidence))


def bins(confidence: Floats, right: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    """Photos, mean confidence and accuracy of each bin that has photos."""
    bin_of = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    return [
        {
            "photos": int((bin_of == index).sum()),
            "confidence": float(confidence[bin_of == index].mean()),
            "accuracy": float(right[bin_of == index].mean()),
        }
        for index in range(BINS)
        if (bin_of == index).any()
    ]


def _some(which: Ints, random: np.random.Generator) -> Ints:
    return which if len(which) <= MOST else np.sort(random.choice(which, MOST, replace=False))


def _outputs(evidence: Evidence) -> int:
    """How many classes the model has, as far as is known."""
    rows, names = evidence.rows, evidence.eye.classifier.labels
    seen = int(max(rows.top_classes.max(), rows.truth.max())) + 1
    return max(seen, len(names or ()), int(rows.top_probabilities.shape[1]))

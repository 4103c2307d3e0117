"""Temperature scaling: logits are divided by one number, so that confidence fits accuracy; decisions stay.

Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017. The fit is that of the source
``calibration``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..sources.calibration import Said, fitted_temperature

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


def temperature(logits: Floats, classes: Ints) -> float:
    """The number by which logits are divided for the least negative log-likelihood.

    Args:
        logits: (N, K), finite.
        classes: (N,), the true class of each photo.

    Raises:
        InputError: the arrays do not fit.
    """
    if logits.ndim != 2 or classes.shape != logits.shape[:1] or not logits.size or not np.isfinite(logits).all():
        expected = "finite (N, K) and (N,)"
        raise InputError("each photo has logits and a class", expected=expected, got=(logits.shape, classes.shape))
    if classes.min() < 0 or classes.max() >= logits.shape[1]:
        raise InputError("a class is one of the logits", expected=f"0 to {logits.shape[1] - 1}", got=classes.max())
    given = np.asarray(logits, np.float64)
    given = given - given.max(1, keepdims=True)
    none = np.zeros(len(given))
    return fitted_temperature(Said(given, given[np.arange(len(given)), classes], none, none))

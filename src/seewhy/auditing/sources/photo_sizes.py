"""Classes whose files are of another size or shape than those of the others: no change of pixels tests that."""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..finding import Finding
from .ranks import area, best_threshold
from .stamps import LEAST

WORDS = {("size", -1): "smaller", ("size", 1): "larger", ("aspect", -1): "narrower", ("aspect", 1): "wider"}


def photo_sizes(evidence: Evidence, apart: float, each: float) -> list[Finding]:
    """A finding for each class that is told from all others by the number of pixels or by width / height.

    Args:
        evidence: with rows.
        apart: the least area under the ROC curve, against all others.
        each: the least, against each other class.
    """
    rows = evidence.rows
    measures = {"size": np.sqrt(rows.facts["width"] * rows.facts["height"]), "aspect": rows.facts["aspect"]}
    usable = evidence.proposing & rows.known
    classes, counts = np.unique(rows.truth[usable], return_counts=True)
    found = []
    for index in classes[counts >= LEAST].tolist():
        here, there = usable & (rows.truth == index), usable & (rows.truth != index)
        for (name, side), word in WORDS.items():
            values = side * measures[name]
            if not there.sum() >= LEAST or (least := area(values[here], values[there])) < apart:
                continue
            others = [area(values[here], values[usable & (rows.truth == other)]) for other in classes if other != index]
            if min(others) < each:
                continue
            limit = best_threshold(values[here], values[there])
            carriers = np.flatnonzero((rows.truth == index) & (values > limit))
            label = evidence.label(index)
            medians = [float(np.median(side * values[which])) for which in (here, there)]
            said = "{:.0f} and {:.0f} pixels, as the side of a square" if name == "size" else "{:.2f} and {:.2f}"
            found.append(
                Finding(
                    id=f"global-{name}-{label}-1", kind="global", class_name=label,
                    sentence=f"files of {label} are {word} than those of other classes: the medians are "
                    f"{said.format(*medians)}; whether the model uses it cannot be tested by a change of pixels",
                    carriers=tuple(rows.paths[row] for row in carriers),
                    remedy=(
                        f"find out where it comes from, and make photos of {label} and of others of the same sizes "
                        "before they are cropped or made smaller",
                    ),
                    detail={
                        "area": least, "threshold": side * limit, "median": medians[0], "median_of_others": medians[1]
                    },
                )
            )  # fmt: skip
    return found

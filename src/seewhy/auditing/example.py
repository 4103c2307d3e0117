"""One photo of another class as it is and under a change: an effect to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..results.viewed import data_uri
from .evidence import Evidence
from .eye import Pixels

SIDE, QUALITY = 224, 82
FAINT = 24
"""A change of the whole photo by fewer levels of 255, in the median of its pixels, is shown enlarged as well."""
SHOWN = 64
"""Levels that the change of a pixel is enlarged to, where it is as large as that of most pixels."""
MOST = 95
"""The percentile of pixels that is most of them."""


def example_of(evidence: Evidence, row: int, photo: Pixels, changed: Pixels) -> dict[str, Any]:
    """A photo of ``evidence`` under a change, ready for JSON.

    Returns:
        "path"; "before" and "after", each with the "class" that the photo is called and its "probability"; "picture",
        the changed photo as a data URI; and of a faint change of all of it "difference", what was added, on grey, and
        "times", how much larger than it is.
    """
    said = evidence.eye.probabilities(np.stack([photo, changed]))
    before, after = (
        {"class": evidence.label(int(each.argmax())), "probability": round(float(each.max()), 4)} for each in said
    )
    return {
        "path": evidence.rows.paths[row], "before": before, "after": after, "picture": small(Image.fromarray(changed)),
        **_enlarged(changed.astype(np.float64) - photo),
    }  # fmt: skip


def _enlarged(change: Any) -> dict[str, Any]:
    large = np.abs(change).max(2)
    if not 0 < np.median(large) < FAINT:
        return {}
    times = max(round(SHOWN / float(np.percentile(large, MOST))), 1)
    return {"difference": small(Image.fromarray((128 + times * change).clip(0, 255).astype(np.uint8))), "times": times}


def small(image: Image.Image) -> str:
    """A picture of an audit's page as a data URI, made smaller in place."""
    image.thumbnail((SIDE, SIDE))
    return data_uri(image, QUALITY)

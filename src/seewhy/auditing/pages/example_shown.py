"""The example of a finding, as the page shows it; it comes from findings.json, which may be anyone's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from ..finding import Finding

PICTURE = re.compile(r"data:image/(?:webp|jpeg);base64,[A-Za-z0-9+/]+={0,2}")
LONGEST = 1 << 20


def example_shown(finding: Finding) -> dict[str, Any] | None:
    """Its path, what it is called before and after, and its pictures; None where there is none, or one that the audit
    did not write.
    """
    example = finding.detail.get("example")
    if not isinstance(example, Mapping) or not isinstance(example.get("path"), str):
        return None
    before, after = (_called(example.get(key)) for key in ("before", "after"))
    picture, difference = (_picture(example.get(key)) for key in ("picture", "difference"))
    if before is None or after is None or picture is None:
        return None
    times = example.get("times")
    enlarged = difference is not None and type(times) is int
    return {
        "path": example["path"], "before": before, "after": after, "picture": picture,
        "difference": difference if enlarged else None, "times": times if enlarged else None,
        "name": str((finding.transform or {}).get("name") or "it"), "turned": before[0] != after[0],
    }  # fmt: skip


def _called(about: Any) -> tuple[str, float] | None:
    if not isinstance(about, Mapping) or not isinstance(about.get("class"), str):
        return None
    probability = about.get("probability")
    known = isinstance(probability, (int, float)) and isfinite(probability)
    return (about["class"], float(probability)) if known else None  # type: ignore[arg-type]


def _picture(uri: Any) -> str | None:
    return uri if isinstance(uri, str) and len(uri) <= LONGEST and PICTURE.fullmatch(uri) else None

"""Which findings are proven, once all tests of an audit are corrected for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .finding import Finding
from .statistics import benjamini_hochberg

RATE = 0.05
"""The rate of false discoveries."""

SMALLEST = 0.05
"""An effect below it is not called proven, however certain."""


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with their q, ranked: what is proven first, by how many decisions it explains, then by its effect.

    q is Benjamini and Hochberg's over all that have a p. Proven is one with q <= ``RATE`` whose interval excludes 0,
    that of the very change that was made (``detail["ci_of_this_change"]``) where it is there, and whose effect is at
    least ``SMALLEST``; beside controls (``detail["beyond_controls"]``, if it is there) this
    must hold as well, in the same direction. What is not proven is no suspected shortcut. A finding without a p, or
    of too few photos, keeps its state.
    """
    tested = [index for index, each in enumerate(findings) if each.p is not None]
    q = benjamini_hochberg([p for each in findings if (p := each.p) is not None])
    out = list(findings)
    for index, own in zip(tested, q, strict=True):
        finding = findings[index]
        state = finding.state
        if state != "too_few":
            state = "proven" if own <= RATE and _large(finding) else "not_proven"
        out[index] = replace(finding, q=float(own), state=state)
    out = [replace(each, suspected_shortcut=each.suspected_shortcut and each.state == "proven") for each in out]
    return sorted(out, key=_rank)


def _rank(finding: Finding) -> tuple[Any, ...]:
    """Another preprocessing first, since all else was measured with the wrong one; then what is proven."""
    proven = finding.state == "proven"
    first = proven and finding.kind == "preprocessing"
    return not first, not proven, -finding.explained, -abs(finding.effect or 0.0), finding.id


def _large(finding: Finding) -> bool:
    if finding.effect is None or finding.ci is None:
        return False
    measured = [(finding.effect, finding.detail.get("ci_of_this_change", finding.ci))]
    beyond = finding.detail.get("beyond_controls")
    if isinstance(beyond, Mapping):
        measured.append((float(beyond["effect"]), (float(beyond["ci"][0]), float(beyond["ci"][1]))))
    same = all(effect * finding.effect > 0 for effect, _ in measured)
    return same and all(abs(effect) >= SMALLEST and (ci[0] > 0 or ci[1] < 0) for effect, ci in measured)

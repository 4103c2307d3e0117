"""The report of a run: one page of HTML, a function of explanations alone."""

from __future__ import annotations

from seewhy.report.entries import Failure, Item, RunInfo
from seewhy.report.render import render_report

__all__ = ["Failure", "Item", "RunInfo", "render_report"]

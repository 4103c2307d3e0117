"""The plain report of a run: one page of HTML."""

from __future__ import annotations

from seewhy.report.entries import PhotoEntry, RunInfo, TargetEntry, ViewEntry
from seewhy.report.render import render_report

__all__ = ["PhotoEntry", "RunInfo", "TargetEntry", "ViewEntry", "render_report"]

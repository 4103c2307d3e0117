"""Exact recomputation of only what a mask changed."""

from .rescorer import Rescorer

__all__ = ["Rescorer"]

"""Exact recomputation of only what a mask changed."""

from .programs import Programs
from .rescorer import Rescorer

__all__ = ["Programs", "Rescorer"]

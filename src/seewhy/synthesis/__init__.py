"""Images made by raising what a network answers."""

from .ascent import Visualization, visualize

__all__ = ["Visualization", "visualize"]

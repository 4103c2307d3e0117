"""Images made by raising what a network answers."""

from . import objectives, transforms
from .presets import PRESETS, Preset
from .visualize import Visualization, visualize

__all__ = ["PRESETS", "Preset", "Visualization", "objectives", "transforms", "visualize"]

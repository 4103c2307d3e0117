"""Images made by raising what a network answers."""

from . import objectives, transforms
from .presets import PRESETS, Preset
from .visualization import Visualization
from .visualize import visualize

__all__ = ["PRESETS", "Preset", "Visualization", "objectives", "transforms", "visualize"]

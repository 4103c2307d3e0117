"""Visualizations made, judged, drawn and written to disk: what ``seewhy visualize`` does."""

from .folder import Gallery, Written
from .sheet import sheet
from .video import VIDEO_ENDINGS, film
from .wanted import Wanted, wanted_channel, wanted_class, wanted_layer

__all__ = [
    "VIDEO_ENDINGS", "Gallery", "Wanted", "Written", "film", "sheet", "wanted_channel", "wanted_class", "wanted_layer",
]  # fmt: skip

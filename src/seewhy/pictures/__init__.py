"""Reading photos, colouring maps, drawing figures: numpy and Pillow only, nothing min-max normalised."""

from __future__ import annotations

from seewhy.legible import in_one_line
from seewhy.pictures.cells import percentage
from seewhy.pictures.colormaps import Scale, colourise
from seewhy.pictures.encoded import png_bytes
from seewhy.pictures.figure import figure
from seewhy.pictures.overlay import overlay
from seewhy.pictures.panels import ErrorPanel, MapPanel, Panel, PicturePanel, TopPanel
from seewhy.pictures.photo import Photo, read_photo
from seewhy.pictures.tiled import tiled

__all__ = [
    "ErrorPanel",
    "MapPanel",
    "Panel",
    "Photo",
    "PicturePanel",
    "Scale",
    "TopPanel",
    "colourise",
    "figure",
    "in_one_line",
    "overlay",
    "percentage",
    "png_bytes",
    "read_photo",
    "tiled",
]

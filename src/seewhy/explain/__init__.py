"""A photo explained with every view, drawn, and written to disk: what the command does."""

from .drawing import draw, photo_entry, to_image
from .explainer import CLASS_VISUALIZATION, Explainer, Explanation, Request
from .folder import Folder, figures
from .names import folder_names

__all__ = [
    "CLASS_VISUALIZATION", "Explainer", "Explanation", "Folder", "Request", "draw", "figures", "folder_names",
    "photo_entry", "to_image",
]  # fmt: skip

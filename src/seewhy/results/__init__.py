"""A photo explained: what every host shows. Saved and loaded without a model and without the photo."""

from .explanation import Explained, Explanation, Made, ModelFacts
from .seen import SeenPhoto
from .view import CLASS_VISUALIZATION, View

__all__ = ["CLASS_VISUALIZATION", "Explained", "Explanation", "Made", "ModelFacts", "SeenPhoto", "View"]

"""Images made by raising what a network answers."""

from . import objectives, presets, transforms
from .ascending import Step
from .ascent import Ascent
from .filters import BlurEvery, SmallContribution, SmallNorm
from .network import Network
from .optimizer import Optimizer
from .parameterization import Fourier, Phase, Pixels
from .penalties import Penalties
from .presets import PRESETS
from .visualization import Visualization
from .visualize import visualize

__all__ = [
    "PRESETS", "Ascent", "BlurEvery", "Fourier", "Network", "Optimizer", "Penalties", "Phase", "Pixels",
    "SmallContribution", "SmallNorm", "Step", "Visualization", "objectives", "presets", "transforms", "visualize",
]  # fmt: skip

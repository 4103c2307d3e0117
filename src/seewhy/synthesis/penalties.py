"""What is weighed beside what is to be raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import objectives
from .checked import check_number
from .objectives import Objective


@dataclass(frozen=True)
class Penalties:
    """Weights; zero is none.

    Attributes:
        l2: of ||I||^2 in the network's unit, taken off (Simonyan 2013, eq. 1, lambda).
        probability: of the logarithm of the class's probability, added: it also lowers the other classes. Only where
            the image is made for classes.

    Raises:
        InputError: a weight is out of range.
    """

    l2: float = 0.0
    probability: float = 0.0

    def __post_init__(self) -> None:
        check_number("the weight l2", self.l2)
        check_number("the weight of the probability", self.probability)

    def of(self, target: Any) -> list[Objective]:
        """What is taken off what is raised for ``target``."""
        weighed = [self.l2 * objectives.l2()] if self.l2 else []
        if self.probability and target is not None and not callable(target):
            weighed.append(-self.probability * objectives.probability(target))
        return weighed

    def params(self, of_classes: bool) -> dict[str, Any]:
        """Those that have a part in the result."""
        own = {"l2": self.l2, "probability": self.probability if of_classes else 0.0}
        return {name: weight for name, weight in own.items() if weight}

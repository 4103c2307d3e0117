"""CAM: which places of the last maps make up the logit."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.method import Method, Values
from ..core.needs import Needs
from ..core.record import Record


@dataclass(frozen=True)
class CAM(Method):
    """M(x, y) = sum over k of w_k^c f_k(x, y), for global average pooling into one linear layer (Zhou 2016, eq. 2).

    Gives (B, 1, h, w), signed. Its mean over space is the logit without its bias, exactly. Of one class rather
    than another it is the difference of their maps. Needs one forward and no gradient. Raises MethodError, which says
    why, on a network of another build.
    """

    id = "cam"
    title = "CAM"
    source = "zhou2016"
    unit = "mean"
    formula = "Σₖ wₖᶜ fₖ(x, y)"
    misleads = (
        "It is exact about the last maps, but each of their positions has seen far more of the photo than the "
        "square it is painted on."
    )

    def needs(self) -> Needs:
        return Needs(class_map=True)

    def __call__(self, record: Record) -> Values:
        class_map = record.class_map()
        return Values(record.of_score(class_map.of)[:, None], class_map.layer)

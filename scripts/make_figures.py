"""Draws the figures of the README and the docs anew, from the embedded model and the example photos."""

from __future__ import annotations

from pathlib import Path

from seewhy.explain import Explainer, Request, draw
from seewhy.methods import METHODS
from seewhy.models import load

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"


def main() -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    explainer = Explainer(load(), Request(tuple(method() for method in METHODS), steps=256))
    for name in ("chelsea", "coffee"):
        explanation = explainer(ROOT / "examples" / "photos" / f"{name}.png")
        image = draw(explanation, explanation.targets[0], explainer)
        image.save(FIGURES / f"{name}.jpg", quality=85, subsampling=0)  # thin coloured lines need their full colour


if __name__ == "__main__":
    main()

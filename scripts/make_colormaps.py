"""Writes the table of foreign colour maps anew, from matplotlib: python scripts/make_colormaps.py

viridis is by Stéfan van der Walt, Nathaniel Smith and Eric Firing, magma by Stéfan van der Walt and Nathaniel Smith;
they gave both to the public domain (CC0).
"""

from __future__ import annotations

import matplotlib
import numpy as np

from seewhy.pictures.borrowed import TABLE

NAMES = ("viridis", "magma")


def main() -> None:
    columns = [np.rint(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8) for name in NAMES]
    lines = ["# Colour maps, made by scripts/make_colormaps.py: do not edit. Their authors gave them away (CC0)."]
    lines.append("# " + "\t".join(NAMES))
    lines += ["\t".join(bytes(colour).hex() for colour in row) for row in zip(*columns, strict=True)]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

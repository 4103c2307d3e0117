"""Draws the figures of docs/gallery.md and docs/ingredients.md anew: python scripts/make_gallery.py [PART]...

Parts: classes, channels, photo, ingredients; all of them take about twenty minutes on a CPU. The numbers that the pages
tell are printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import seewhy
from seewhy.pictures import Panel, PicturePanel, figure, percentage, read_photo
from seewhy.synthesis import Ascent, objectives, presets, transforms
from seewhy.synthesis.pixels import to_image
from seewhy.synthesis.receipts import receipts

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
FOOTER = f"seewhy {seewhy.__version__} · scripts/make_gallery.py · efficientnet_lite0"

CLASSES = ("goldfish", "flamingo", "golden retriever", "tabby", "lion", "monarch", "sorrel", "volcano", "castle",
           "container ship", "strawberry", "daisy")  # fmt: skip
CHANNELS = {"blocks.1": (2, 7), "blocks.3": (5, 21), "blocks.6": (9, 40), "blocks.9": (3, 60), "blocks.12": (11, 88),
            "blocks.15": (17, 200)}  # fmt: skip
STUDIED = ("golden retriever", "container ship", "flamingo")


def classes() -> None:
    """Twelve classes, default preset."""
    clf = seewhy.load()
    panels: list[Panel] = []
    for begin in range(0, len(CLASSES), 4):
        part = [clf.index(name) for name in CLASSES[begin : begin + 4]]
        made = seewhy.visualize(clf, part)
        for index, image, receipt in zip(part, made.images, receipts(clf, made.images, part), strict=True):
            caption = f"{percentage(receipt.own.probability)} · damaged {percentage(receipt.hurt.probability)}"
            panels.append(PicturePanel(clf.label(index), to_image(image), caption))
            print(f"{clf.label(index)}: {receipt}", flush=True)
    save("gallery-classes", panels, "Twelve classes, as the network would like to see them")


def channels() -> None:
    """Twelve channels along the depth."""
    clf = seewhy.load()
    panels: list[Panel] = []
    for layer, indices in CHANNELS.items():
        made = seewhy.visualize(clf, objective=objectives.channel(layer, indices), batch=len(indices))
        for index, image in zip(indices, made.images, strict=True):
            panels.append(PicturePanel(f"{layer}, channel {index}", to_image(image)))
    save("gallery-channels", panels, "Twelve channels, from the first blocks to the last")


def photo() -> None:
    """A caricature and an inversion of one photo."""
    clf = seewhy.load()
    seen = clf.crop(read_photo(ROOT / "examples" / "photos" / "chelsea.png").image)
    layer = "blocks.10"
    with seewhy.record(clf, clf.preprocess(seen), layers=[layer]) as record:
        reference = record.activation(layer)
    panels: list[Panel] = [PicturePanel("The photo", seen, "what the network saw")]
    # A photo's activations are tied to their places: images that are compared with them hold still.
    still = presets.default(transforms=(transforms.Noise(0.02),), ghosts=0.0)
    for kind in ("caricature", "inversion"):
        made = seewhy.visualize(clf, objective=objectives.match(layer, reference, kind=kind), ascent=still)
        panels.append(PicturePanel(kind.capitalize(), to_image(made.images[0]), f"at {layer}"))
    save("gallery-photo", panels, "What a layer keeps of a photo")


def ingredients() -> list[tuple[str, str, Ascent]]:
    """The default preset, put together piece by piece."""
    whole = presets.default()
    bare = whole.but(transforms=(), ghosts=0.0, shrink=0.0, probability=0.0)
    warped = bare.but(transforms=whole.transforms[:2])
    changed = bare.but(transforms=whole.transforms)
    ghosts = changed.but(ghosts=whole.network.ghosts)
    fading = ghosts.but(shrink=whole.optimizer.shrink)
    return [
        ("Pixels, L2", "Simonyan 2013", presets.simonyan(steps=256)),
        ("Waves", "Fourier, decorrelated colours", bare),
        ("+ warps", "rotated, scaled, cropped", warped),
        ("+ changes", "blur, mirror, colour, noise", changed),
        ("+ ghosts", "networks that differ a little", ghosts),
        ("+ fading", "waves nobody asks for fade", fading),
        ("+ probability", "= default", whole),
    ]


def ablation() -> None:
    """What each ingredient contributes."""
    clf = seewhy.load()
    wanted = [clf.index(name) for name in STUDIED]
    rows: dict[str, list[Panel]] = {name: [] for name in STUDIED}
    for title, about, ascent in ingredients():
        made = seewhy.visualize(clf, wanted, ascent=ascent, attempts=1)
        found = receipts(clf, made.images, wanted)
        slopes = ", ".join(f"{each.slope:.2f}" for each in found)
        print(f"{title}: slopes {slopes}", flush=True)
        for name, image, receipt in zip(STUDIED, made.images, found, strict=True):
            own, hurt = percentage(receipt.own.probability), percentage(receipt.hurt.probability)
            caption = f"{about} · {own} · damaged {hurt}"
            rows[name].append(PicturePanel(title, to_image(image), caption))
    for name, panels in rows.items():
        save(f"ingredients-{name.replace(' ', '-')}", panels, f"{name}, ingredient by ingredient")


def save(name: str, panels: Sequence[Panel], title: str) -> None:
    """The figure as a JPEG."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    sheet = figure(panels, title=title, footer=FOOTER)
    sheet.save(FIGURES / f"{name}.jpg", quality=80, optimize=True)
    print(f"{name}.jpg", flush=True)


PARTS: dict[str, Callable[[], None]] = {
    "classes": classes, "channels": channels, "photo": photo, "ingredients": ablation,
}  # fmt: skip

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()

"""How good the class visualizations are, in numbers: python benchmarks/visualization_quality.py

Twenty classes, picked by a fixed seed, on the embedded network with the default preset: 256 steps, 224 pixels. Their
pictures are judged as they are shown, without transforms, and after they were halved and doubled in size, mirrored and
saved as JPEG at quality 50; and their spectra are compared with photos'. With --save, the pictures are kept.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import torch

import seewhy
from seewhy.gallery.sheet import sheet
from seewhy.pictures import read_photo
from seewhy.synthesis.pixels import to_image
from seewhy.synthesis.receipts import Receipt, receipts
from seewhy.synthesis.spectrum import natural, slope

CLASSES, SEED, BATCH = 20, 4, 4
MEMORY = """
import resource, seewhy
classifier = seewhy.load()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seewhy.visualize(classifier, 130, steps=20)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def classes() -> list[int]:
    """The twenty, whatever the network."""
    return sorted(random.Random(SEED).sample(range(1000), CLASSES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--photos", type=Path, help="a folder of photos whose slope is measured as well")
    parser.add_argument("--save", type=Path, help="a folder for the pictures")
    given = parser.parse_args()

    # First, while this process is small: a child's peak counts from its parent's size on.
    memory = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    print(f"memory of one image {float(memory.stdout):.0f} MB above the model\n", flush=True)
    classifier, wanted = seewhy.load(), classes()
    images, accounts, tries = [], list[Receipt](), list[int]()
    start = time.perf_counter()
    for begin in range(0, CLASSES, BATCH):
        part = wanted[begin : begin + BATCH]
        made = seewhy.visualize(classifier, part, preset=given.preset, steps=given.steps, size=224)
        images.append(made.images)
        tries += made.params.get("attempts", [1] * len(part))
        accounts += receipts(classifier, made.images, part)
        for index, account in zip(part, accounts[begin:], strict=True):
            print(f"{index:4d}  {classifier.label(index):28.28s}  {account}", flush=True)
    seconds = time.perf_counter() - start

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    known = natural()
    print(f"\npreset {given.preset}, {given.steps} steps, 224 pixels, {CLASSES} classes, {seconds:.0f} s")
    print(f"top-1 as shown      {sum(each.own.rank == 1 for each in accounts)}/{CLASSES}")
    print(f"at first attempt    {sum(each == 1 for each in tries)}/{CLASSES}")
    print(f"mean probability    {mean([each.own.probability for each in accounts]):.3f}")
    print(f"kept when damaged   {mean([float(each.hurt.rank == 1) for each in accounts]):.0%}")
    print(f"slope               {mean([each.slope for each in accounts]):.2f} (photos {known.slope:.2f})")
    print(f"high frequencies    {mean([each.high for each in accounts]):.1%} (photos {known.high:.1%})")
    if given.photos:
        crops = [classifier.preprocess(read_photo(path).image) for path in sorted(given.photos.iterdir())]
        pixels = torch.cat(crops) * torch.tensor(classifier.std).view(1, -1, 1, 1)
        pixels = pixels + torch.tensor(classifier.mean).view(1, -1, 1, 1)
        print(f"slope of {given.photos.name:11s}{slope(pixels).mean():.2f} ({len(crops)} photos)")
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
        pictures = [to_image(image) for image in torch.cat(images)]
        for index, picture in zip(wanted, pictures, strict=True):
            picture.save(given.save / f"class-{index}.png")
        rows = [
            (classifier.label(index), picture, f"{account.own.probability:.1%}, damaged {account.hurt.probability:.1%}")
            for index, picture, account in zip(wanted, pictures, accounts, strict=True)
        ]
        sheet(rows, title=f"Preset {given.preset}").save(given.save / "sheet.png")


if __name__ == "__main__":
    main()

"""Audits of networks in which a fault was planted: is it found, in its place, with its true effect, and nothing else?

    python benchmarks/planted.py CIFAR_FOLDER CHECKPOINT [--seeds N …] [--networks NAME …] [--only NAME …] [--rows FILE]

CIFAR_FOLDER has train/ and test/, with a folder of pictures per class in each; CHECKPOINT is the CIFAR ResNet-20 of
akamaster/pytorch_resnet_cifar10. Each network is trained on pictures of which 95 % of one class carry the plant, and
audited on others that carry it alike. First its true effect is measured, on pictures that the audit does not see: a
plant that did not take cannot be found. Beside the plants there are 10 % wrong labels, and audits where nothing is to
be found. Every audit is a row of a CSV file; those that it has are not made again, and the last lines count them.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from planting import MEAN, NETWORKS, STD, UNTRAINED, flipped, pictures, planted, said, written
from plants import FURTHER, PLANTS, SIDE, TAG, tag
from torch.nn import functional as F

import seewhy

FIELDS = ("network", "plant", "strength", "seed", "class", "accuracy", "true", "found", "effect", "low", "high",
          "overlap", "precision", "ceiling", "others", "said", "seconds")  # fmt: skip
FLIPS = "wrong labels"
NULLS = ("nothing", "tag on half of all", "shuffled labels", "random weights")
TOOK = 0.2
"""The least true effect of a plant that took."""
WRONG = 0.1


class Data:
    """Pictures to train on, pictures to audit, and fresh ones."""

    def __init__(self, folder, each):
        self.train, self.train_classes, self.names = pictures(Path(folder) / "train")
        test, classes, _ = pictures(Path(folder) / "test")
        ranks = np.concatenate([np.arange((classes == number).sum()) for number in range(len(self.names))])
        self.audited, self.classes = test[ranks < each], classes[ranks < each]
        self.fresh, self.fresh_classes = test[ranks >= each], classes[ranks >= each]


def plant_row(data, make, checkpoint, name, strength, seed, rng):
    """What an audit of a network that learned a plant finds."""
    of, plant = int(rng.integers(10)), {**PLANTS, **FURTHER}[name]
    net = make(checkpoint, planted(data.train, data.train_classes, plant, strength, of, rng), data.train_classes, seed)
    others = data.fresh[data.fresh_classes != of]
    changed = np.stack([plant(photo, strength, rng) for photo in others])
    true = float((said(net, changed) - said(net, others))[:, of].mean())
    carrying = planted(data.audited, data.classes, plant, strength, of, rng)
    found, seconds = audited(net, carrying, data.classes, data.names, seed)
    suspected = [each for each in found.findings if each.suspected_shortcut]
    hits = [each for each in suspected if each.class_name == data.names[of]]
    row = {"class": data.names[of], "accuracy": f"{right(net, data):.3f}", "true": f"{true:.3f}", "found": len(hits),
           "others": len(suspected) - len(hits), "said": " / ".join(each.sentence for each in hits[:2]),
           "seconds": f"{seconds:.0f}"}  # fmt: skip
    if hits and hits[0].effect is not None and hits[0].ci is not None:
        low, high = hits[0].ci
        row |= {"effect": f"{hits[0].effect:.3f}", "low": f"{low:.3f}", "high": f"{high:.3f}"}
    if name == "tag" and hits and hits[0].region is not None:
        row["overlap"] = f"{overlap(hits[0].region['box'], (*TAG, 3 + strength, 3 + strength)):.2f}"
    return row


def flips_row(data, make, checkpoint, seed, rng):
    """How many of the photos that an audit doubts most have a wrong label, of as many as there are."""
    given, _ = flipped(data.train_classes, WRONG, rng)
    net = make(checkpoint, data.train, given, seed)
    classes, wrong = flipped(data.classes, WRONG, rng)
    found, seconds = audited(net, data.audited, classes, data.names, seed, ["labels"])
    numbers = [int(Path(path).stem) for each in found.findings if each.kind == "label" for path in each.carriers]
    precision = wrong[numbers[: wrong.sum()]].sum() / wrong.sum()
    return {"accuracy": f"{right(net, data):.3f}", "precision": f"{precision:.3f}",
            "ceiling": f"{ceiling(net, data, classes, int(wrong.sum())):.3f}", "others": 0,
            "seconds": f"{seconds:.0f}"}  # fmt: skip


def ceiling(net, data, classes, count):
    """The precision to expect of the best ranking by what a network says: by how probable it is that a class is wrong.

    Its probabilities are calibrated on the fresh pictures, and the share of wrong classes is known.
    """
    fresh, audited = (torch.from_numpy(said(net, each)).clamp_min(1e-30).log() for each in (data.fresh, data.audited))
    losses = {temperature: F.cross_entropy(fresh / temperature, torch.from_numpy(data.fresh_classes))
              for temperature in np.geomspace(0.25, 4, 33)}  # fmt: skip
    own = (audited / min(losses, key=losses.get)).softmax(1).numpy()[np.arange(len(classes)), classes]
    wrong = WRONG / (len(data.names) - 1) * (1 - own)
    return np.sort(wrong / (wrong + (1 - WRONG) * own))[-count:].mean()


def null_row(data, make, untrained, checkpoint, name, seed, rng):
    """What an audit suspects where nothing goes with a class."""
    pixels, classes = data.audited, data.classes
    if name == "tag on half of all":
        pixels = np.stack([tag(each, 3, rng) if rng.random() < 0.5 else each for each in pixels])
    if name == "shuffled labels":
        classes = rng.permutation(classes)
    torch.manual_seed(seed)
    random = name == "random weights"
    net = untrained().eval() if random else make(checkpoint, data.train, data.train_classes, seed)
    found, seconds = audited(net, pixels, classes, data.names, seed)
    suspected = [each.sentence for each in found.findings if each.suspected_shortcut]
    return {"accuracy": f"{right(net, data):.3f}", "others": len(suspected), "said": " / ".join(suspected[:2]),
            "seconds": f"{seconds:.0f}"}  # fmt: skip


def audited(net, pixels, classes, names, seed, sources=None):
    """The audit, and the seconds it took."""
    with tempfile.TemporaryDirectory() as place:
        written(place, pixels, classes, names)
        clf = seewhy.classifier(net, labels=names, mean=MEAN, std=STD, size=SIDE)
        start = time.perf_counter()
        found = seewhy.audit(place, clf, seed=seed, sources=sources)
        return found, time.perf_counter() - start


def right(net, data):
    """Share of the fresh pictures that the network calls by their class."""
    return float((said(net, data.fresh).argmax(1) == data.fresh_classes).mean())


def overlap(box, other):
    """Intersection over union."""
    (top, left, h, w), (top2, left2, h2, w2) = box, other
    down, across = min(top + h, top2 + h2) - max(top, top2), min(left + w, left2 + w2) - max(left, left2)
    inside = max(down, 0) * max(across, 0)
    return inside / (h * w + h2 * w2 - inside)


def cells(seeds, networks, only, strengths):
    """(network, plant, strength, seed) of the audits that are asked for."""
    asked = only or [*PLANTS, FLIPS, *NULLS]
    for seed in seeds:
        for network in networks:
            for name in asked:
                for strength in strengths if name in PLANTS or name in FURTHER else [0]:
                    yield network, name, strength, seed


def run(data, checkpoint, asked, path):
    """Makes the rows that the file does not have."""
    known = {tuple(row[key] for key in FIELDS[:4]) for row in rows(path)}
    for cell in asked:
        if tuple(map(str, cell)) in known:
            continue
        network, name, strength, seed = cell
        rng = np.random.default_rng([seed, *name.encode(), strength, *network.encode()])
        if name == FLIPS:
            row = flips_row(data, NETWORKS[network], checkpoint, seed, rng)
        elif name in NULLS:
            row = null_row(data, NETWORKS[network], UNTRAINED[network], checkpoint, name, seed, rng)
        else:
            row = plant_row(data, NETWORKS[network], checkpoint, name, strength, seed, rng)
        row = dict(zip(FIELDS[:4], cell, strict=True)) | row
        print(row, flush=True)
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            if new:
                writer.writeheader()
            writer.writerow(row)


def rows(path):
    """Those that were made."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def told(made):
    """The counts that the aims are about."""
    plants = [row for row in made if row["true"]]
    took = [row for row in plants if float(row["true"]) >= TOOK]
    found = [row for row in took if int(row["found"])]
    measured = [row for row in plants if row["effect"]]
    inside = [row for row in measured if float(row["low"]) <= float(row["true"]) <= float(row["high"])]
    nulls = [row for row in made if row["plant"] in NULLS]
    yield f"plants: {len(plants)}; {len(took)} have a true effect of {TOOK} or more, of which {len(found)} were found"
    yield f"true effect within the interval: {len(inside)} of {len(measured)} that were found"
    yield f"overlap of tags: {', '.join(row['overlap'] for row in made if row['overlap'])}"
    yield f"suspected besides the plant: {sum(int(row['others']) for row in plants)} in {len(plants)} audits"
    yield f"audits of nothing with a suspected shortcut: {sum(int(row['others']) > 0 for row in nulls)} of {len(nulls)}"
    labels = ", ".join(f"{row['precision']} of {row['ceiling']}" for row in made if row["precision"])
    yield f"precision at k of wrong labels, of what the network's probabilities let expect: {labels}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("checkpoint")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--photos", type=int, default=100, help="per class, of each audit")
    parser.add_argument("--strengths", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--networks", choices=list(NETWORKS), nargs="*", default=list(NETWORKS))
    parser.add_argument("--only", choices=[*PLANTS, *FURTHER, FLIPS, *NULLS], nargs="*")
    parser.add_argument(
        "--rows", type=Path, default=Path("planted.csv"), help="the file that is written, and gone on with"
    )
    given = parser.parse_args()
    asked = list(cells(given.seeds, given.networks, given.only, given.strengths))
    run(Data(given.folder, given.photos), given.checkpoint, asked, given.rows)
    print("\n".join(told(rows(given.rows))))

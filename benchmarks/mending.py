"""Networks that lean on a planted tag, audited and mended: does the worst group gain, on photos nobody has seen?

    python benchmarks/mending.py CIFAR_FOLDER CHECKPOINT [--seeds N] [--photos N] [--strength N]

CIFAR_FOLDER and CHECKPOINT are those of planted.py. Each network is trained on pictures of which 95 % of one class
carry the tag, audited on others that carry it alike, and mended from that audit: with DFR, and with SELF, which is
told nothing of the tag. All are measured on further pictures, of which half of every class carry the tag: the accuracy
in the worst of the 20 groups, class by tag, and on pictures without the tag.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from planting import MEAN, STD, pictures, planted, said, trained, written
from plants import PLANTS

import seewhy
from seewhy.auditing.fixing import Fixed, fix
from seewhy.auditing.remedies.head import with_head

WAYS = ("before", "DFR", "trained longer", "SELF", "SELF by chance")


def run(folder, checkpoint, *, seeds, each, epochs, strength):
    """One network, audit and mending per seed."""
    torch.set_num_threads(1)
    train, train_classes, names = pictures(Path(folder) / "train")
    test, test_classes, _ = pictures(Path(folder) / "test")
    chosen = np.concatenate([np.flatnonzero(test_classes == number)[:each] for number in range(10)])
    rest = np.setdiff1d(np.arange(len(test)), chosen)
    titles = ["seed", "class", *(f"{name}, {way}" for name in ("worst group", "without tag") for way in WAYS)]
    print(" | ".join([*titles, "fix said"]))
    better = np.zeros(2, int)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *b"tag", strength])
        of, plant = int(rng.integers(10)), PLANTS["tag"]
        net = trained(checkpoint, planted(train, train_classes, plant, strength, of, rng), train_classes, seed, epochs)
        clf = seewhy.classifier(net, labels=names, mean=MEAN, std=STD, size=32)
        carrying = planted(test[chosen], test_classes[chosen], plant, strength, of, rng)
        with tempfile.TemporaryDirectory() as place:
            photos, audit = Path(place) / "photos", Path(place) / "audit"
            photos.mkdir()
            written(photos, carrying, test_classes[chosen], names)
            found = seewhy.audit(photos, clf, seed=seed, output_dir=audit, sources=["stamps"])
            found.save(audit)
            if not any(one.suspected_shortcut for one in found.findings):
                print(f"{seed} | {names[of]} | nothing was suspected", flush=True)
                continue
            dfr, selected = (fix(audit, photos, clf, remedy=name) for name in ("dfr", "self"))
        mended = [clf, *(with_head(clf, head) for head in (dfr.head, dfr.longer, selected.head, selected.longer))]
        worst, clean = zip(*(measured(one.model, test[rest], test_classes[rest], plant, strength) for one in mended),
                           strict=True)  # fmt: skip
        better += worst[1] > worst[2], worst[3] > worst[4]
        told = "; ".join(f"{one.remedy.name}: {short(one)}" for one in (dfr, selected))
        print(f"{seed} | {names[of]} | {' | '.join(f'{value:.3f}' for value in (*worst, *clean))} | {told}", flush=True)
    print(f"better than trained longer: DFR on {better[0]} of {seeds} seeds, SELF on {better[1]}")


def measured(net, pixels, classes, plant, strength):
    """Accuracy in the worst of the groups, class by tag, and without the tag, when every second picture carries it."""
    carries = np.zeros(len(pixels), bool)
    for number in np.unique(classes):
        carries[np.flatnonzero(classes == number)[::2]] = True
    rng = np.random.default_rng(0)
    shown = np.stack([plant(one, strength, rng) if tagged else one
                      for one, tagged in zip(pixels, carries, strict=True)])  # fmt: skip
    right = said(net, shown).argmax(1) == classes
    groups = 2 * classes + carries
    return min(right[groups == group].mean() for group in np.unique(groups)), right[~carries].mean()


def short(fixed: Fixed) -> str:
    """What ``fix`` itself says of the worst group, on its own measuring half, against trained longer."""
    told = fixed.change["after - just trained longer"]["worst group accuracy"]
    return f"{told['median']:+.2f} [{told['ci'][0]:+.2f}, {told['ci'][1]:+.2f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("checkpoint")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=100, help="per class, of each audit")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--strength", type=int, default=3)
    given = parser.parse_args()
    run(given.folder, given.checkpoint, seeds=given.seeds, each=given.photos, epochs=given.epochs,
        strength=given.strength)  # fmt: skip

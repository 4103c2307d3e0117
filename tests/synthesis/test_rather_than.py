"""An ascent of one class rather than another."""

import pytest
import torch

import seewhy
from nets.tiny import make
from seewhy.errors import TargetError


def test_it_raises_the_difference_of_two_classes():
    clf = seewhy.classifier(make(), labels=["cat", "dog", "owl", "fox"], size=32)
    made = seewhy.visualize(clf, seewhy.Versus("dog", "fox"), preset="simonyan", steps=20)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (clf.mean, clf.std))
    with torch.no_grad():
        logits = clf.model((made.images - mean) / std)[0]
    assert float(made.score) == pytest.approx(float(logits[1] - logits[3]), abs=1e-4)
    assert made.history[-1] > made.history[0]
    same = seewhy.visualize(clf, lambda outputs: outputs[:, 1] - outputs[:, 3], preset="simonyan", steps=20)
    assert torch.equal(made.images, same.images)
    with pytest.raises(TargetError, match="predicted"):
        seewhy.visualize(clf, seewhy.Versus(None, 1), preset="simonyan", steps=2)
    with pytest.raises(TargetError, match="against itself"):
        seewhy.visualize(clf, seewhy.Versus(1, 1), preset="simonyan", steps=2)

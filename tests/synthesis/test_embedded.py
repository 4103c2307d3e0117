"""The default preset on a real network: what it makes is its class, also after damage, and natural in its spectrum."""

import seewhy
from seewhy.synthesis.receipts import receipts


def test_a_short_ascent_is_its_class_and_stays_it():
    clf = seewhy.load()
    index = clf.index("volcano")
    v = seewhy.visualize(clf, index, steps=96)
    (receipt,) = receipts(clf, v.images, index)
    assert receipt.own.rank == receipt.hurt.rank == 1
    assert receipt.own.probability > 0.9
    assert abs(receipt.slope - receipt.natural_slope[0]) < 0.4
    assert receipt.high < receipt.natural_high[0] + receipt.natural_high[1]


def test_phases_alone_are_enough_for_a_class():
    """Under natural magnitudes; phases that were the variables themselves stayed noise, place 108 after 64 steps."""
    clf = seewhy.load()
    index = clf.index("volcano")
    v = seewhy.visualize(clf, index, preset="maco", steps=48, attempts=1)
    (receipt,) = receipts(clf, v.images, index)
    assert receipt.own.rank == 1
    assert abs(receipt.slope - receipt.natural_slope[0]) < 0.3

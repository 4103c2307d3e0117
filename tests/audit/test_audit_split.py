"""Photos that candidates are made of are never those that they are measured on, nor copies of these."""

import numpy as np
import pytest

from seewhy.auditing.split import alike, proposing
from seewhy.errors import InputError


def _photos(count=3000):
    rng = np.random.default_rng(3)
    return rng.integers(-1, 7, count), rng.integers(0, count // 2, count)


def test_no_group_is_parted_and_each_class_is_halved():
    truth, groups = _photos()
    chosen = proposing(truth, groups, 1)
    for group in np.unique(groups):
        assert len(np.unique(chosen[groups == group])) == 1
    alone = np.arange(len(truth))
    for which in np.unique(truth):
        of_it = proposing(truth, alone, 1)[truth == which]
        assert abs(2 * of_it.sum() - len(of_it)) <= 1
        assert abs(chosen[truth == which].mean() - 0.5) < 0.1


def test_the_seed_decides_and_nothing_else():
    truth, groups = _photos()
    assert (proposing(truth, groups, 1) == proposing(truth, groups, 1)).all()
    assert (proposing(truth, groups, 1) != proposing(truth, groups, 2)).any()
    other_names = np.random.default_rng(0).permutation(5000)[groups]
    halves = proposing(truth, other_names, 1)
    assert abs(2 * halves.sum() - len(halves)) <= 9 * 8


def test_a_single_photo_of_a_class_falls_on_either_side():
    sides = [bool(proposing(np.zeros(1, int), np.zeros(1, int), seed)[0]) for seed in range(40)]
    assert 8 <= sum(sides) <= 32
    assert proposing(np.zeros(0, int), np.zeros(0, int)).shape == (0,)
    with pytest.raises(InputError):
        proposing(np.zeros(3, int), np.zeros(4, int))


def test_copies_are_alike_through_others():
    found = alike(("a", "b", "a", "c", "d"), np.asarray([1, 2, 3, 3, 5], np.uint64))
    assert len({found[0], found[2], found[3]}) == 1
    assert len(set(found.tolist())) == 3

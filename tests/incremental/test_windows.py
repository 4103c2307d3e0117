"""How windows are cut and laid out."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.incremental.windows import _groupings, laid_out, windows_of


def _boxes(data, height, width):
    boxes = []
    for _ in range(data.draw(st.integers(1, 25))):
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
        boxes.append((top, left, bottom, right))
    return windows_of(np.array(boxes, np.int64), (height, width))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 14), st.integers(1, 14), st.sampled_from([0.0, 1e-6, 1e-4, 1.0]))
def test_a_layout_holds_every_window_once(data, height, width, block):
    windows = _boxes(data, height, width)
    layout = laid_out(windows, 1e-6, block)
    assert windows.within(layout.windows)
    assert layout.windows.top.min() >= 0
    assert layout.windows.left.min() >= 0
    assert (layout.windows.bottom <= height).all()
    assert (layout.windows.right <= width).all()
    assert sorted(mask for b in layout.blocks for mask in b.masks) == list(range(len(windows)))
    row = 0
    for b in layout.blocks:
        assert b.rows == slice(row, row + len(b.masks) * b.height * b.width)
        for number, mask in enumerate(b.masks):
            assert layout.offset[mask] == row + number * b.height * b.width
            assert (layout.windows.height[mask], layout.windows.width[mask]) == (b.height, b.width)
        row = b.rows.stop
    assert layout.rows == row
    if block == 0.0 and len(np.unique(windows.height)) <= 6 and len(np.unique(windows.width)) <= 6:
        assert layout.rows == windows.area  # calls cost nothing: no position more than need be
    if block == 1.0:
        assert len(layout.blocks) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=20))
def test_groupings_are_the_best_there_are(lengths):
    lengths = np.array(lengths, np.int64)
    sizes = sorted(set(lengths.tolist()))
    for groups, to in _groupings(lengths, 12):
        best = min(
            sum(min(size for size in (*cut, sizes[-1]) if size >= length) for length in lengths)
            for cut in combinations(sizes[:-1], groups - 1)
        )
        assert to[lengths].sum() == best
        assert (to[lengths] >= lengths).all()


def test_reach_leaves_out_what_is_farthest_from_the_mask():
    masks = windows_of(np.array([[0, 0, 2, 2], [9, 9, 11, 11], [18, 18, 20, 20]], np.int64), (20, 20))
    grown = windows_of(np.array([[0, 0, 8, 10], [1, 0, 9, 10], [2, 8, 10, 10]], np.int64), (10, 10))
    cut = grown.at_most(0.5, masks.centre)
    assert np.stack([cut.top, cut.bottom], 1).tolist() == [[0, 5], [2, 7], [5, 10]]
    assert np.stack([cut.left, cut.right], 1).tolist() == [[0, 5], [2, 7], [8, 10]]
    assert grown.at_most(1.0, masks.centre).area == grown.area


def test_reach_leaves_small_maps_whole():
    """Where there are few positions, each counts."""
    boxes = np.array([[0, 0, 8, 8], [1, 0, 7, 8]], np.int64)
    small, large = windows_of(boxes, (8, 8)), windows_of(boxes, (9, 8))
    assert small.at_most(0.5, small.centre) is small
    assert large.at_most(0.5, large.centre).height.max() == 4

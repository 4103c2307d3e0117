"""The audit's tests and intervals, against scipy, closed forms and stated rates."""

import numpy as np
import pytest
from scipy import stats

from seewhy.auditing.statistics import benjamini_hochberg, bootstrap_interval, mcnemar, sign_flip, wilson_interval
from seewhy.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_the_bootstrap_interval_of_a_large_sample_is_the_normal_one(rng):
    values = rng.normal(3, 2, 4000)
    half = 1.959964 * values.std() / np.sqrt(len(values))
    found = bootstrap_interval(values, rng, draws=8000)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert bootstrap_interval(np.full(9, 0.25), rng) == (0.25, 0.25)


def test_the_bootstrap_interval_holds_the_mean_as_often_as_it_says(rng):
    held = 0
    for _ in range(400):
        low, high = bootstrap_interval(rng.exponential(1, 60), rng, draws=500)
        held += low <= 1 <= high
    assert 0.89 <= held / 400 <= 0.98  # .95 less the known shortfall at N = 60 of a skewed law, +- 3 sigma


def test_a_small_sign_flip_test_is_exact():
    assert sign_flip([1.0] * 5, np.random.default_rng(0)) == 2 / 32
    assert sign_flip([1, 2, 3, -1], np.random.default_rng(0)) == 6 / 16  # |sum| >= 5: 5 twice, 7
    assert sign_flip([0.0] * 7, np.random.default_rng(0)) == 1
    assert sign_flip([0.1] * 10 + [0.3, -0.3], np.random.default_rng(0)) == pytest.approx(_flipped([1] * 10 + [3, -3]))


def _flipped(whole):
    """By convolution: how often a sum of whole numbers with random signs is as far from 0 as it was."""
    law = {0: 1.0}
    for number in whole:
        law = {
            total: sum(law.get(total - sign * number, 0) / 2 for sign in (-1, 1))
            for total in {known + sign * number for known in law for sign in (-1, 1)}
        }
    return sum(share for total, share in law.items() if abs(total) >= abs(sum(whole)))


def test_random_flips_agree_with_scipy_and_never_say_0(rng):
    each = rng.normal(0.25, 1, 40)
    theirs = stats.permutation_test(
        (each,), np.mean, permutation_type="samples", n_resamples=20000, rng=np.random.default_rng(1)
    )
    assert sign_flip(each, rng, flips=20000) == pytest.approx(theirs.pvalue, abs=0.015)
    assert sign_flip(np.ones(50), rng) == 1 / 5000


@pytest.mark.parametrize("count", [9, 25])
def test_without_an_effect_a_sign_flip_test_rejects_at_its_rate(rng, count):
    p = np.asarray([sign_flip(rng.standard_t(3, count), rng, flips=199) for _ in range(1000)])
    assert 0.025 <= (p <= 0.05).mean() <= 0.075
    assert 0.44 <= (p <= 0.5).mean() <= 0.56


def test_q_is_what_scipy_says(rng):
    p = np.concatenate([rng.random(60) ** 4, [0.2, 0.2, 1, 0]])
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), rtol=1e-12)
    assert benjamini_hochberg([]).shape == (0,)
    with pytest.raises(InputError, match="probability"):
        benjamini_hochberg([0.1, float("nan")])


def test_discoveries_are_false_at_most_at_the_rate(rng):
    shares = []
    for _ in range(300):
        p = np.concatenate([rng.random(40), stats.norm.sf(rng.normal(3, 1, 10))])
        found = benjamini_hochberg(p) <= 0.2
        shares.append(found[:40].sum() / max(1, found.sum()))
    assert 0.11 <= np.mean(shares) <= 0.2  # in expectation .2 * 40 / 50 = .16


@pytest.mark.parametrize("pair", [(0, 0), (3, 3), (0, 6), (2, 9), (9, 2), (130, 90), (700, 900)])
def test_mcnemar_is_scipys_binomial_test(pair):
    theirs = stats.binomtest(pair[0], sum(pair)).pvalue if sum(pair) else 1
    assert mcnemar(*pair) == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (0, 30), (7, 31), (31, 31), (400, 1000)])
def test_wilsons_interval_is_scipys(hits, of):
    theirs = stats.binomtest(hits, of).proportion_ci(0.95, "wilson")
    assert wilson_interval(hits, of) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_what_is_no_sample_is_refused(rng):
    for wrong in ([], [1, float("inf")]):
        with pytest.raises(InputError, match="finite"):
            bootstrap_interval(wrong, rng)
        with pytest.raises(InputError, match="finite"):
            sign_flip(wrong, rng)
    with pytest.raises(InputError, match="5 of 4"):
        wilson_interval(5, 4)
    with pytest.raises(InputError):
        mcnemar(-1, 2)

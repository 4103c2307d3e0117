"""How much longer work takes, from a clock that the test moves."""

import pytest

from seewhy.pace import Pace, duration


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_what_is_left_is_what_remains_at_the_rate_so_far(clock):
    pace = Pace(clock)
    pace.hear(("job", "photos"), 0, 1000)
    assert pace.rate is None
    assert pace.left is None
    assert pace.text == "0 of 1,000"
    clock.now += 5
    pace.hear(("job", "photos"), 200, 1000)
    assert pace.rate == pytest.approx(40)
    assert pace.left == pytest.approx(20)
    assert pace.text == "200 of 1,000, 40 a second, about 20 s left"
    clock.now += 8
    assert pace.left == pytest.approx(12), "time goes on between steps"
    clock.now += 80
    assert pace.left == 0


def test_what_an_earlier_run_did_is_not_counted_as_fast(clock):
    pace = Pace(clock)
    pace.hear(("job",), 900, 1000)
    clock.now += 10
    pace.hear(("job",), 910, 1000)
    assert pace.rate == pytest.approx(1)
    assert pace.left == pytest.approx(90)


def test_each_part_has_a_pace_of_its_own(clock):
    pace = Pace(clock)
    pace.hear(("job", "a"), 0, 10)
    clock.now += 10
    pace.hear(("job", "a"), 10, 10)
    assert pace.text == "10 of 10, 1.0 a second"
    pace.hear(("job", "b"), 0, 4)
    assert (pace.rate, pace.text) == (None, "0 of 4")
    clock.now += 30
    pace.hear(("job", "b"), 1, 4)
    assert pace.text == "1 of 4, 30 s each, about 2 min left"


def test_one_step_is_no_count():
    pace = Pace()
    pace.hear(("job",), 0, 1)
    assert pace.text == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (7.6, "8 s"), (42, "40 s"), (54.9, "55 s"), (55, "1 min"), (600, "10 min"), (3569, "59 min"),
     (3600, "1 h"), (7800, "2 h 10 min"), (7170, "2 h"), (200_000, "2 days")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text

"""Events: what is told, to whom, and how work is cancelled."""

import threading

import pytest

from seewhy import events


def told(heard):
    return [(event.kind, event.path, round(event.share, 6)) for event in heard]


def test_shares_of_nested_parts_add_up():
    heard = []
    with events.job("photo", listener=heard.append):
        with events.part("maps", 0, 0.4):
            events.progress(1, 2)
            with events.part("occlusion", 0.5, 0.5):
                events.progress(3, 4)
        with events.part("ascent", 0.4, 0.6):
            events.progress(1, 1)
            events.result("image")
    assert told(heard) == [
        ("started", ("photo",), 0.0),
        ("progress", ("photo", "maps"), 0.2),
        ("progress", ("photo", "maps", "occlusion"), 0.35),
        ("progress", ("photo", "ascent"), 1.0),
        ("result", ("photo", "ascent"), 1.0),
        ("done", ("photo",), 1.0),
    ]
    assert heard[4].value == "image"


def test_a_share_never_falls_and_is_never_more_than_all():
    heard = []
    with events.job("job", listener=heard.append):
        for done in (3, 1, 9):
            events.progress(done, 4)
    assert [event.share for event in heard] == [0, 0.75, 0.75, 1, 1]


def test_without_a_job_nothing_is_told_and_nothing_breaks():
    assert events.progress(1, 2) is False
    events.result(1)
    events.checkpoint()
    with events.part("part"):
        assert events.progress(1, 1) is False


def test_cancelling_takes_effect_at_the_next_step_and_is_told():
    heard, cancellation, steps = [], events.Cancellation(), []

    def work():
        with events.job("job", listener=heard.append, cancellation=cancellation):
            for step in range(1, 10):
                steps.append(step)
                if step == 4:
                    cancellation.cancel()
                events.progress(step, 10)

    with pytest.raises(events.Cancelled):
        work()
    assert steps == [1, 2, 3, 4]
    assert heard[-1].kind == "cancelled"
    assert "done" not in [event.kind for event in heard]


def test_a_failure_is_raised_and_neither_done_nor_cancelled():
    heard = []
    with pytest.raises(ZeroDivisionError), events.job("job", listener=heard.append):
        1 / 0  # noqa: B018
    assert [event.kind for event in heard] == ["started"]
    assert events.progress(1, 1) is False  # the stream is gone


def test_a_listener_may_ask_to_stop_early():
    with events.job("job", listener=lambda event: event.done == 2):
        assert [events.progress(done, 3) for done in (1, 2, 3)] == [False, True, False]


def test_also_adds_a_listener_for_a_block_in_or_outside_of_a_job():
    inner, outer = [], []
    with events.also(inner.append):
        events.progress(1, 2)
    with events.job("job", listener=outer.append):
        with events.also(inner.append):
            events.progress(1, 1)
        events.progress(1, 1)
    assert [event.path for event in inner] == [(), ("job",)]
    assert len(outer) == 4


def test_threads_do_not_hear_each_other():
    heard = {name: [] for name in "ab"}
    barrier = threading.Barrier(2)

    def work(name):
        with events.job(name, listener=heard[name].append):
            for done in range(20):
                barrier.wait(10)
                events.progress(done, 20)

    threads = [threading.Thread(target=work, args=name) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for name in "ab":
        assert {event.path for event in heard[name]} == {(name,)}
        assert len(heard[name]) == 22

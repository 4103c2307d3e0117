"""The parts by themselves: bounded outboxes, threads, and what gives way to what."""

import asyncio
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from seewhy.app.ascents import _with_points
from seewhy.app.drawn import DRAWINGS
from seewhy.app.jobs import Job, JobControl, failure
from seewhy.app.outbox import Outbox, dumped
from seewhy.app.photos import _Cache
from seewhy.app.priority import Priority
from seewhy.app.workers import Workers
from seewhy.errors import InputError
from seewhy.events import Cancelled


def drained(fill, **bounds):
    """What comes out of an outbox that ``fill`` filled."""

    async def go():
        outbox = Outbox(**bounds)
        fill(outbox)
        found = []
        while True:
            try:
                found.append(json.loads(await asyncio.wait_for(outbox.next(), 0.01)))
            except asyncio.TimeoutError:
                return found, outbox._overflown.is_set()

    return asyncio.run(go())


STEPS = st.lists(st.tuples(st.sampled_from(["put", "progress", "frame"]), st.integers(0, 2)), max_size=40)


@given(STEPS)
@settings(deadline=None, max_examples=50)
def test_results_keep_their_order_and_of_the_others_the_newest_comes(steps):
    def fill(outbox):
        for number, (kind, job) in enumerate(steps):
            message = {"kind": kind, "job": job, "number": number}
            if kind == "put":
                outbox.put(message)
            else:
                outbox.latest((kind, job), message)

    found, _ = drained(fill)
    results = [message["number"] for message in found if message["kind"] == "put"]
    assert results == [number for number, (kind, _) in enumerate(steps) if kind == "put"]
    newest = {(kind, job): number for number, (kind, job) in enumerate(steps) if kind != "put"}
    assert {(m["kind"], m["job"]): m["number"] for m in found if m["kind"] != "put"} == newest
    assert len(found) == len(results) + len(newest)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_no_point_of_a_course_is_lost_between_frames(sizes):
    number, frames = 0, []
    for size in sizes:
        frames.append({"step": number + size, "course": [[number + k, 0.0, 0.0] for k in range(size)]})
        number += size

    def fill(outbox):
        for frame in frames:
            outbox.latest("frame", frame, _with_points)

    (only,), _ = drained(fill)
    assert only["step"] == number
    assert [point[0] for point in only["course"]] == list(range(number))


def test_a_reader_that_is_too_slow_is_left():
    def fill(outbox):
        for number in range(5):
            outbox.put({"number": number})

    assert drained(fill, most=4)[1]
    assert drained(fill, most=5) == ([{"number": number} for number in range(5)], False)
    large = {"text": "x" * 1000}
    assert drained(lambda outbox: [outbox.put(large) for _ in range(3)], most_bytes=2500)[1]
    assert len(drained(lambda outbox: outbox.put(large), most_bytes=10)[0]) == 1, "a single one is always taken"


def test_a_job_with_many_results_waits_for_its_reader():
    async def go():
        outbox, control, done = Outbox(most=8), JobControl(), []

        def work():
            for number in range(50):
                outbox.wait_for_room(control)
                outbox.put({"number": number})
                done.append(number)

        thread = threading.Thread(target=work)
        thread.start()
        found = [json.loads(await outbox.next())["number"] for _ in range(50)]
        thread.join()
        assert found == list(range(50))
        for number in range(6):
            outbox.put({"number": number})
        control.cancel()
        with pytest.raises(Cancelled):
            outbox.wait_for_room(control)

    asyncio.run(go())


def test_json_has_no_nan_and_no_broken_characters():
    text = dumped({"a": float("nan"), "b": [float("inf"), 1.5], "c": "\ud800\u2028é"})
    assert text.isascii()
    assert json.loads(text) == {"a": None, "b": [None, 1.5], "c": "\ud800\u2028é"}


def test_threads_are_begun_when_they_are_needed_and_no_more():
    workers, gate = Workers(3, "test"), threading.Event()
    assert workers.submit(lambda: 1).result(10) == 1
    names = {workers.submit(lambda: threading.current_thread().name).result(10) for _ in range(20)}
    assert len(names) == 1, "a free thread is used again"
    futures = [workers.submit(gate.wait) for _ in range(10)]
    assert workers._threads == 3
    gate.set()
    assert all(future.result(10) for future in futures)
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 // 0).result(10)
    with pytest.raises(SystemExit):
        workers.submit(lambda: exit(3)).result(10)
    cancelled = workers.submit(lambda: 1)
    cancelled.cancel()
    assert workers.submit(lambda: 2).result(10) == 2
    assert workers.waiting == 0


def test_threads_are_waited_for_to_their_end():
    workers, gate = Workers(2, "test"), threading.Event()
    assert workers.wait_until_idle(0)
    done = [workers.submit(gate.wait) for _ in range(3)]
    assert not workers.wait_until_idle(0.01)
    gate.set()
    assert workers.wait_until_idle(20)
    assert all(each.done() for each in done)


def test_steps_wait_while_something_urgent_runs_and_not_for_ever(monkeypatch):
    from seewhy.app import priority as rules

    priority, order = Priority(), []
    monkeypatch.setattr(rules, "GRACE", 0.0)
    monkeypatch.setattr(rules, "STEP_WAITS", 20.0)
    with priority.urgent():
        thread = threading.Thread(target=lambda: (priority.give_way(), order.append("step")))
        thread.start()
        order.append("urgent")
    thread.join(10)
    assert order == ["urgent", "step"]
    monkeypatch.setattr(rules, "STEP_WAITS", 0.01)
    with priority.urgent():
        priority.give_way()  # comes back
    with priority.job():
        priority.give_way()  # jobs do not wait for jobs
        monkeypatch.setattr(rules, "FOLDER_WAITS", 0.01)
        priority.give_way_to_all()


class Told:
    def __init__(self):
        self.messages = []

    def put(self, message):
        self.messages.append(dict(message))

    def forget(self, key):
        pass


@pytest.mark.parametrize(("error", "kind"), [
    (InputError("no"), "InputError"), (RuntimeError("x" * 9999), "ModelError"), (SystemExit(1), "ModelError"),
    (KeyboardInterrupt(), "ModelError"), (MemoryError(), "ModelError"), (Exception("a\nb\x1b"), "ModelError"),
])  # fmt: skip
def test_whatever_a_job_raises_is_told_in_a_line(error, kind, capfd):
    def work(job):
        raise error

    told = Told()
    Job(7, told, Priority()).run(work)
    (message,) = told.messages
    assert (message["type"], message["id"], message["kind"]) == ("error", 7, kind)
    assert message["message"].isprintable()
    assert len(message["message"]) < 3000
    assert "Traceback" not in capfd.readouterr().err


def test_a_job_that_was_cancelled_before_it_began_does_nothing():
    told, job_did = Told(), []
    job = Job(7, told, Priority())
    job.control.cancel()
    job.run(job_did.append)
    assert told.messages == [{"type": "cancelled", "id": 7}]
    assert not job_did


def test_nothing_is_told_of_what_was_cancelled():
    """The page has asked for something else meanwhile, whose answer may be there first."""

    def work(job):
        job.tell("explained", number=1)
        job.control.cancel()
        job.tell("explained", number=2)

    told = Told()
    Job(7, told, Priority()).run(work)
    assert told.messages == [{"type": "explained", "id": 7, "number": 1}, {"type": "cancelled", "id": 7}]


def test_a_pause_ends_by_itself(monkeypatch):
    from seewhy.app import jobs

    monkeypatch.setattr(jobs, "LONGEST_PAUSE", 0.01)
    control = JobControl()
    control.pause()
    control.wait()
    assert control.stopped


def test_failures_name_what_is_close():
    told = failure(InputError("there is no x", close=["y"]))
    assert told == {"type": "error", "message": "there is no x; did you mean y?", "kind": "InputError"}


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(deadline=None, max_examples=20)
def test_small_pictures_are_small_and_never_enlarged(width, height):
    import io

    image = Image.new("RGB", (width, height), "red")
    for kind, side in (("small", 448), ("thumb", 96)):
        drawn = Image.open(io.BytesIO(DRAWINGS[kind](image)))
        assert max(drawn.size) == min(side, max(width, height))
        assert abs(drawn.width / drawn.height - width / height) * min(drawn.size) <= width / height + 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), max_size=40))
def test_a_cache_stays_within_its_bytes(puts):
    cache = _Cache(100)
    for key, size in puts:
        cache.put((key, "x"), size, size)
        assert cache.get((key, "x")) == size
        assert cache._size == sum(size for _, size in cache._kept.values())
        assert cache._size <= 100 or len(cache._kept) == 1
    for key in range(6):
        cache.forget(key)
    assert cache._size == 0
    assert not cache._kept

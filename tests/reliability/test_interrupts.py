"""Thousands of real signals, at random moments of real work: everything is as it was after each."""

import os
import signal
import threading
import time

import pytest
import torch
from torch import nn

import seewhy
from reliability.storm import Storm, differences, duration, everything, surroundings
from seewhy import layer_table
from seewhy.files import write_atomically
from seewhy.interrupts import Shield, interruptible, shielded, uninterrupted
from seewhy.methods import Occlusion

SIGNALS = int(os.environ.get("SEEWHY_SIGNALS", "100"))
"""For each kind of work; `make fuzz` sends many more."""


class Writing(nn.Module):
    """Writes a buffer and draws a random number in each forward, has one part in training, and one frozen weight."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.relu, self.fc = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Linear(8, 5)
        self.register_buffer("count", torch.zeros(1))
        self.seen = torch.zeros(2)

    def forward(self, x):
        self.count += 1
        self.seen.data.add_(1)
        x = self.relu(self.norm(self.first(x))) + 1e-6 * torch.rand(())
        return self.fc(self.relu(self.second(x)).mean((2, 3)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Writing().eval()
    model.norm.train()
    model.first.weight.requires_grad_(False)
    return model


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def recording(model):
    def work():
        with seewhy.record(model, X, 1, layers=["second"]) as record:
            record.gradient("second", rule="guided")
            record.activation("second")

    return work


WORK = {
    "grad_cam": lambda model: lambda: seewhy.attribute(model, X, "grad_cam", 1),
    "all": lambda model: lambda: seewhy.attribute(model, X, ["saliency", "deconvnet", "cam", "guided_grad_cam"], 1),
    "occlusion": lambda model: lambda: seewhy.attribute(model, X, Occlusion(8, 8), 1),
    "dense occlusion": lambda model: lambda: seewhy.attribute(model, X, Occlusion(8, 8, engine="dense"), 1),
    "record": recording,
    "visualize": lambda model: lambda: seewhy.visualize(model, [1], steps=2, size=16, attempts=1),
    "layers": lambda model: lambda: layer_table.layers(model, X),
}


@pytest.fixture(params=["thread", "timer"])
def by(request):
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield request.param
    signal.signal(signal.SIGALRM, previous)


def storm(work, model, folder=None, by="thread"):
    """What was changed after how many of the signals, and how many came inside the work."""
    work()
    within, sent = duration(work), Storm(0, by)
    before, changed = everything(model, folder), []
    for _ in range(SIGNALS):
        sent.strike(work, within)
        changed.append(differences(before, everything(model, folder)))
    return [change for change in changed if change], sent


@pytest.mark.parametrize("name", list(WORK))
def test_a_model_is_as_it_was_after_every_interrupt(model, name, by):
    changed, sent = storm(WORK[name](model), model, by=by)
    assert not changed
    assert sent.inside > SIGNALS / 20  # else this test would say nothing
    assert sent.lost <= 1


def test_a_file_is_whole_or_not_there_after_every_interrupt(model, tmp_path, by):
    a = seewhy.attribute(model, X, "grad_cam", 1)
    a.save(tmp_path / "map.npz")
    content = (tmp_path / "map.npz").read_bytes()
    changed, sent = storm(lambda: a.save(tmp_path / "map.npz", overwrite=True), model, tmp_path, by)
    assert not changed
    assert sent.inside > SIGNALS / 20
    assert len((tmp_path / "map.npz").read_bytes()) == len(content)
    assert torch.equal(seewhy.Attribution.load(tmp_path / "map.npz").values, a.values)


def test_photos_of_a_folder_are_as_safe(tmp_path):
    from PIL import Image

    from seewhy.exemplars import Unit, exemplars

    classifier = seewhy.load(weights="random")
    for number in range(3):
        Image.new("RGB", (40, 40), (80 * number, 20, 200)).save(tmp_path / f"{number}.png")
    before, sent = everything(classifier.model), Storm(0)
    work = lambda: exemplars(classifier, tmp_path, [Unit(3, None)], count=1, batch_size=2)  # noqa: E731
    work()
    within = 1.2 * duration(work)
    for _ in range(max(6, SIGNALS // 30)):
        sent.strike(work, within)
        assert not differences(before, everything(classifier.model))


def test_a_forward_that_takes_long_is_interrupted_at_once(model):
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x):
            for _ in range(500):
                time.sleep(0.01)
            return self.net(x)

    signal.setitimer(signal.ITIMER_REAL, 0.2)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    started = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            seewhy.attribute(Slow(), X, "grad_cam", 1)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert time.perf_counter() - started < 3


class Changing:
    """Two steps to enter, two to leave; a signal comes between them, if it may."""

    def __init__(self, at):
        self.at, self.state = at, []

    def step(self, name):
        self.state.append(name)
        if name == self.at:
            signal.raise_signal(signal.SIGINT)
            for _ in range(100):
                pass

    def __enter__(self):
        self.step("open")
        self.step("opened")
        return self

    def __exit__(self, *error):
        self.step("close")
        self.step("closed")


@pytest.mark.parametrize("at", ["open", "opened", "close", "closed"])
def test_a_shield_is_entered_and_left_as_a_whole(at):
    handler, changing = signal.getsignal(signal.SIGINT), Changing(at)
    reached = False
    with pytest.raises(KeyboardInterrupt), Shield(changing):
        reached = True
    assert changing.state == ["open", "opened", "close", "closed"]
    assert reached == (at in ("close", "closed"))
    assert signal.getsignal(signal.SIGINT) is handler


def test_within_its_block_a_signal_comes_at_once():
    steps = []

    def block():
        signal.raise_signal(signal.SIGINT)
        steps.append("after")

    with pytest.raises(KeyboardInterrupt), Shield(Changing(None)):
        block()
    assert not steps


def test_what_takes_long_in_entering_can_be_interrupted():
    @shielded
    def entering():
        steps.append("before")
        try:
            interruptible(strike)
        except KeyboardInterrupt:
            steps.append("interrupted")
            raise
        yield

    def strike():
        signal.raise_signal(signal.SIGINT)
        steps.append("not interrupted")

    steps = []
    with pytest.raises(KeyboardInterrupt), entering():
        steps.append("block")
    assert steps == ["before", "interrupted"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1])
def test_the_handlers_of_other_signals_wait_as_well(number):
    class Timeout(Exception):
        pass

    def give_up(number, frame):
        raise Timeout

    class Leaving(Changing):
        def step(self, name):
            self.state.append(name)
            if name == "close":
                signal.raise_signal(number)

    leaving, previous = Leaving(None), signal.signal(number, give_up)
    try:
        with pytest.raises(Timeout), Shield(leaving):
            pass
        assert leaving.state[-1] == "closed"
        assert signal.getsignal(number) is give_up
    finally:
        signal.signal(number, previous)


def test_a_handler_that_the_block_sets_stays():
    previous = signal.getsignal(signal.SIGINT)
    mine = lambda number, frame: None  # noqa: E731
    try:
        with Shield(Changing(None)):
            signal.signal(signal.SIGINT, mine)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, previous)


def test_modes_that_a_forward_leaves_behind_are_gone(model):
    class Leaves(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x):
            torch.set_grad_enabled(False)
            torch.overrides._push_mode(torch.overrides.BaseTorchFunctionMode())
            torch.set_autocast_enabled("cpu", True)
            torch.autocast_increment_nesting()
            raise KeyboardInterrupt

    before = surroundings()
    with pytest.raises(KeyboardInterrupt):
        seewhy.attribute(Leaves(), X, "grad_cam", 1)
    assert surroundings() == before
    torch.autocast_increment_nesting()
    assert torch.autocast_decrement_nesting() == 0


def test_a_file_that_is_being_written_is_gone_after_an_interrupt(tmp_path):
    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), write_atomically(tmp_path / "a") as file:
        write(file)
    assert not os.listdir(tmp_path)


def test_a_signal_that_waits_is_handled_in_the_main_thread_alone():
    """Another thread that enters and leaves shields meanwhile is not interrupted."""
    began, waits, failed, shields = threading.Event(), threading.Event(), [], []

    @shielded
    def shield():
        shields.append(1)
        yield

    def work():
        try:
            began.wait(10)
            for _ in range(200):
                with shield():
                    uninterrupted(time.sleep, 0)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)
        finally:
            waits.set()

    def told():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        began.set()
        waits.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        uninterrupted(told)
    thread.join(10)
    assert not failed
    assert len(shields) == 200


def test_a_signal_that_came_several_times_is_one():
    """The others would interrupt some later call that nobody meant."""

    def told():
        for _ in range(5):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.005)

    with pytest.raises(KeyboardInterrupt):
        uninterrupted(told)
    for _ in range(3):
        uninterrupted(time.sleep, 0)

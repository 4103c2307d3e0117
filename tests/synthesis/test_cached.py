"""Class pictures are made once, found again, and never taken from the cache where they are not what they should be."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make, make_one_output
from seewhy import events
from seewhy.files import write_atomically
from seewhy.synthesis import Step, Visualization, presets, transforms
from seewhy.synthesis.cache import Cache, cache_folder
from seewhy.synthesis.cached import cached


def test_a_process_without_a_home_keeps_its_pictures_among_temporary_files(monkeypatch, tmp_path):
    monkeypatch.delenv("SEEWHY_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)


LABELS = ("cat", "dog", "owl", "sea lion")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def _classifier(module=None, labels=LABELS, size=20, **parts):
    from seewhy.models.preprocessing import Preprocessing
    from seewhy.models.weights import state_hash

    module = (make() if module is None else module).eval()
    transform = Preprocessing((size, size), mean=(0.5,) * 3, std=(0.25,) * 3)
    whole = seewhy.Classifier(module, labels, transform, "tiny", state_hash(module), {})
    return replace(whole, **parts)


def _steps(work):
    """What ``work`` gives, and how many steps of ascents it took."""
    heard = []
    with events.job("work", listener=heard.append):
        result = work()
    return result, sum(isinstance(event.value, Step) for event in heard)


def _asked(classifier, cache, targets=("dog", 3), **options):
    return _steps(lambda: cached(classifier, targets, **{"steps": 4, "attempts": 1, "cache": cache, **options}))


def test_what_was_made_is_found_again_and_is_the_same(cache):
    classifier = _classifier()
    first, steps = _asked(classifier, cache)
    assert steps == 4  # both in one ascent
    assert list(first) == ["dog", 3]
    assert first.notes == ()
    again, steps = _asked(classifier, cache)
    assert steps == 0
    for target in first:
        assert torch.equal(first[target].images, again[target].images)
        assert torch.equal(first[target].history, again[target].history)
    assert again[3].labels == ("sea lion",)
    alone = seewhy.visualize(classifier, "dog", steps=4, attempts=1)
    assert torch.allclose(again["dog"].images, alone.images, atol=1e-4)
    more, steps = _asked(classifier, cache, ["cat", 1, "sea lion"])
    assert steps == 4  # the one that was missing
    assert more["cat"].target.tolist() == [0]
    assert len(cache.entries()) == 3


def test_what_is_missing_is_left_out_where_nothing_is_to_be_made(cache):
    _asked(_classifier(), cache, [1])
    found, steps = _asked(_classifier(), cache, [0, 1, (1, 1)], make=False)
    assert steps == 0
    assert list(found) == [1, (1, 1)]


CHANGES = {
    "steps": ({"steps": 5}, {}), "seed": ({"seed": 1}, {}), "attempts": ({"attempts": 2}, {}),
    "preset": ({"preset": "simonyan"}, {}), "a part": ({"ascent": presets.default(ghosts=0.2)}, {}),
    "a transform": ({"ascent": presets.default(transforms=(transforms.Noise(0.2),))}, {}),
    "a start": ({"ascent": presets.default(start=torch.full((3, 20, 20), 0.4))}, {}),
    "weights": ({}, {"weights_hash": "another"}), "size": ({}, {"size": 24}),
    "structure": ({}, {"module": nn.Sequential(*make(), nn.Identity())}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_everything_that_a_picture_is_made_by_tells_it_apart(name, cache):
    options, parts = CHANGES[name]
    _asked(_classifier(), cache, [1])
    _, steps = _asked(_classifier(**parts), cache, [1], **options)
    assert steps > 0
    assert len(cache.entries()) == 2


def test_names_tell_nothing_apart_and_are_todays(cache):
    _asked(_classifier(), cache, [1])
    again, steps = _asked(_classifier(labels=("a", "b", "c", "d")), cache, ["b"])
    assert steps == 0
    assert again["b"].labels == ("b",)
    assert _asked(_classifier(labels=None), cache, [1])[0][1].labels is None


class Body(nn.Module):
    """What it does does not show in its weights, nor in how it is printed."""

    def __init__(self, gain):
        super().__init__()
        self.body, self.gain = make(), gain

    def forward(self, x):
        return self.gain * self.body(x)


def test_code_that_has_changed_is_noticed_by_the_score(cache):
    _asked(_classifier(Body(1.0)), cache, [1])
    assert _asked(_classifier(Body(1.0)), cache, [1])[1] == 0
    made, steps = _asked(_classifier(Body(1.5)), cache, [1])
    assert steps == 4
    assert len(cache.entries()) == 1
    assert torch.equal(_asked(_classifier(Body(1.5)), cache, [1])[0][1].images, made[1].images)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "no archive": lambda path: path.write_bytes(b"not what was kept"),
    "another picture": lambda path: _changed(path, lambda v: replace(v, images=1 - v.images)),
    "another class": lambda path: _changed(path, lambda v: replace(v, target=v.target + 1)),
    "another score": lambda path: _changed(path, lambda v: replace(v, score=v.score + 1)),
    "another probability": lambda path: _changed(path, lambda v: replace(v, probability=v.probability * 0.5)),
    "another size": lambda path: _changed(path, lambda v: replace(v, images=v.images[..., 1:], frames={})),
    "unfinished": lambda path: _changed(path, lambda v: replace(v, interrupted=True)),
    "no score": lambda path: _changed(path, lambda v: replace(v, score=None)),
}


def _changed(path, change):
    change(Visualization.load(path)).save(path, overwrite=True)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_or_foreign_file_is_made_anew(name, cache):
    first, _ = _asked(_classifier(), cache, [1])
    (entry,) = cache.entries()
    DAMAGE[name](entry.path)
    again, steps = _asked(_classifier(), cache, [1])
    assert steps == 4
    assert again.notes == ()
    assert torch.equal(again[1].images, first[1].images)
    assert _asked(_classifier(), cache, [1])[1] == 0


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "file").write_text("no folder")
    made, steps = _asked(_classifier(), Cache(tmp_path / "file" / "cache"), ["dog"])
    assert steps == 4
    assert made["dog"].target.tolist() == [1]
    assert len(made.notes) == 1
    assert "not kept" in made.notes[0]


def test_what_cannot_be_told_apart_is_not_kept(cache):
    own = presets.default(transforms=(lambda x, generator: x,))
    for classifier, options in ((_classifier(), {"ascent": own}), (_classifier(weights_hash=""), {})):
        made, steps = _asked(classifier, cache, [1], **options)
        assert steps == 4
        assert "not kept" in made.notes[0]
    assert cache.entries() == []


def test_of_one_output_both_decisions(cache):
    classifier = _classifier(make_one_output(), labels=("cat",))
    made, steps = _asked(classifier, cache, [0, (0, -1)])
    assert steps == 8
    assert made[0, -1].labels == ("not cat",)
    assert made[0, -1].probability == pytest.approx(float(made[0, -1].score.sigmoid()), abs=1e-6)
    assert made[0, -1].score > -made[0].score
    again, steps = _asked(classifier, cache, [(0, -1), 0])
    assert steps == 0
    assert torch.equal(again[0, -1].images, made[0, -1].images)
    with pytest.raises(seewhy.SeewhyError, match="one output"):
        _asked(_classifier(), cache, [(0, -1)])
    with pytest.raises(seewhy.SeewhyError, match="for a class or against it"):
        _asked(_classifier(), cache, [(0, 2)])


def test_images_that_see_each_other_are_made_one_by_one(cache):
    body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    classifier = _classifier(nn.Sequential(*body, nn.Flatten(), nn.Linear(8, 4)))
    made, steps = _asked(classifier, cache, [0, 1, 2])
    assert steps == 12
    assert [made[index].target.item() for index in range(3)] == [0, 1, 2]
    assert _asked(classifier, cache, [0, 1, 2])[1] == 0


def test_large_batches_are_cut_and_what_was_whole_before_ctrl_c_is_kept(cache):
    classifier, seen = _classifier(), []

    def stop(event):
        if isinstance(event.value, Step):
            seen.append(event.path[1])
            if len(seen) == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), events.job("work", listener=stop):
        cached(classifier, range(4), steps=4, attempts=1, batch=2, cache=cache)
    assert seen == ["cat and 1 more"] * 4 + ["owl and 1 more"] * 2
    assert len(cache.entries()) == 2
    assert _asked(classifier, cache, range(4), batch=2)[1] == 4


def test_a_stopped_ascent_is_given_and_not_kept(cache):
    with events.job("work", listener=lambda event: event.done == 2):
        made = cached(_classifier(), [1], steps=4, attempts=1, cache=cache)
    assert len(made[1].history) == 2
    assert cache.entries() == []


def test_what_was_used_least_recently_goes(tmp_path):
    cache, classifier = Cache(tmp_path), _classifier()
    _asked(classifier, cache, range(3))
    entries = cache.entries()
    for age, entry in enumerate(entries):
        os.utime(entry.path, (1000 - age, 1000 - age))
    oldest = cache.entries()[-1]
    kept = [target for target in range(3) if _asked(classifier, Cache(tmp_path), [target])[1] == 0]
    assert kept == [0, 1, 2]
    assert cache.entries()[0].used > 1000  # each was used now
    os.utime(oldest.path, (1, 1))
    small = Cache(tmp_path, most=cache.size() + 100)
    _asked(classifier, small, [3])
    assert not oldest.path.exists()
    assert len(small.entries()) == 3
    assert small.size() <= small.most
    tiny = Cache(tmp_path / "tiny", most=1)
    _asked(classifier, tiny, [0, 1])
    assert len(tiny.entries()) == 1  # the last one stays, so that it can be used


def test_only_our_own_files_are_removed(cache):
    _asked(_classifier(), cache)
    theirs = [cache.folder / name for name in ("notes.txt", "a.npz", "0" * 64, ".part")]
    for path in theirs:
        path.write_text("mine")
    left = cache.folder / ".0123456789abcdef.part"
    left.write_text("of a process that was killed")
    long_ago = time.time() - 2 * 3600
    os.utime(left, (long_ago, long_ago))
    assert cache.clear() == 2
    assert sorted(cache.folder.iterdir()) == sorted(theirs)
    assert cache.clear() == 0
    assert Cache(cache.folder / "missing").clear() == 0


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("SEEWHY_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "seewhy" / "pictures"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "seewhy" / "pictures"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "seewhy" / "pictures"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "seewhy" / "pictures"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "seewhy" / "Cache" / "pictures"
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own" / "pictures"


def test_what_another_process_is_writing_is_left_to_it(cache):
    cache.folder.mkdir(parents=True, exist_ok=True)
    place = cache.folder / f"{'a' * 64}.npz"
    with write_atomically(place, overwrite=True) as file:
        file.write(b"half")
        assert cache.clear() == 0
        file.write(b", and the rest")
    assert place.read_bytes() == b"half, and the rest"


PROCESS = """
import sys
from test_cached import _classifier, cached, Cache
for _ in range(4):
    cache = Cache(__import__("pathlib").Path(sys.argv[1]))
    made = cached(_classifier(), range(4), steps=2, attempts=1, batch=1, cache=cache)
    assert made.notes == ()
    cache.clear()
"""


def test_processes_do_not_disturb_each_other(tmp_path):
    paths = [str(Path(__file__).parent), str(Path(seewhy.__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()


def test_the_command_shows_and_empties_it(seewhy_command, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path))
    assert seewhy_command("cache")[:2] == (0, f"{tmp_path / 'pictures'}  0 pictures  0 bytes\n")
    _asked(_classifier(), Cache(), [0, 1])
    size = Cache().size()
    assert seewhy_command("cache")[1] == f"{tmp_path / 'pictures'}  2 pictures  {size:,} bytes\n"
    code, said, _ = seewhy_command("cache", "--clear", "--json")
    assert code == 0
    assert '"removed": 2' in said
    assert Cache().entries() == []

"""The pass on a real Ray cluster of two workers: the same rows, bit for bit, whatever happens to a worker."""

import os
import signal
from dataclasses import fields
from pathlib import Path

import numpy as np
import planted
import pytest
import torch

import seewhy
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.errors import InputError, ModelError

ray = pytest.importorskip("ray", reason="Ray is not installed")


class DiesOnce(planted.Net):
    """Kills its process the first time that it runs where a file is missing, and leaves the file."""

    mark = None

    def forward(self, x):
        if self.mark is not None and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Raises(planted.Net):
    def forward(self, x):
        raise RuntimeError("no forward today")


def classifier(net):
    return seewhy.classifier(net.eval(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=32)


@pytest.fixture(scope="module")
def cluster():
    """Two workers, for all tests of this module."""
    paths = os.pathsep.join(filter(None, os.sys.path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
             object_store_memory=100 << 20, runtime_env={"env_vars": {"PYTHONPATH": paths}})  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def place(tmp_path):
    pixels, kinds = planted.pictures(12, 1)
    place = planted.folder(tmp_path / "photos", pixels, kinds)
    (place / "rings" / "broken.png").write_text("no photo")
    return place


def same(a, b):
    for field in fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
        elif isinstance(one, tuple):
            assert one == other
        else:
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()


def test_the_same_rows_bit_for_bit_and_a_pass_that_goes_on(cluster, place, tmp_path):
    torch.manual_seed(0)
    clf = classifier(planted.Net())
    collection = collection_of(place, clf)
    local = rows_of(collection, clf, tmp_path / "local", shard=10, batch_size=4)
    on_ray = rows_of(collection, clf, tmp_path / "ray", shard=10, batch_size=4, engine="ray")
    same(local[0], on_ray[0])
    assert local[1] == on_ray[1]
    assert [path for path, _ in local[1]] == ["rings/broken.png"]
    (tmp_path / "ray" / "000002.parquet").unlink()
    kept = (tmp_path / "ray" / "000001.parquet").stat().st_mtime_ns
    same(local[0], rows_of(collection, clf, tmp_path / "ray", shard=10, batch_size=4, engine="ray")[0])
    assert (tmp_path / "ray" / "000001.parquet").stat().st_mtime_ns == kept


def test_a_killed_worker_is_survived(cluster, place, tmp_path):
    torch.manual_seed(0)
    plain = classifier(planted.Net())
    torch.manual_seed(0)
    dying = classifier(DiesOnce())
    dying.model.mark = str(tmp_path / "died")  # not before: making a classifier may run the network
    expected, _ = rows_of(collection_of(place, plain), plain, tmp_path / "local", shard=10, batch_size=4)
    found, _ = rows_of(collection_of(place, dying), dying, tmp_path / "ray", shard=10, batch_size=4, engine="ray")
    assert (tmp_path / "died").exists()
    same(expected, found)


def test_what_a_network_raises_is_said_in_one_line(cluster, place, tmp_path):
    clf = classifier(planted.Net())
    clf.model.__class__ = Raises
    with pytest.raises(ModelError, match="no forward today"):
        rows_of(collection_of(place, clf), clf, tmp_path / "ray", engine="ray")
    clf.model.lock = (each for each in ())  # what cannot be pickled
    with pytest.raises(ModelError, match="another process"):
        rows_of(collection_of(place, clf), clf, tmp_path / "other", engine="ray")


def test_there_is_no_other_engine(place, tmp_path):
    clf = classifier(planted.Net())
    with pytest.raises(InputError, match="local or ray"):
        rows_of(collection_of(place, clf), clf, tmp_path / "rows", engine="spark")
    with pytest.raises(InputError, match="workers"):
        rows_of(collection_of(place, clf), clf, tmp_path / "rows", workers=2)

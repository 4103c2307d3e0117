"""Loads that overlap, and numbers of which many have one hash."""

import json
import os
import pickle
import sys
import threading
import time

import pytest
import torch

from seewhy.errors import InputError, ModelError
from seewhy.models import load, pickles
from seewhy.models.labels import read_labels
from seewhy.models.trust import FORCED, UNFORCED

ONE_HASH = (1 << 61) - 1
"""Python's hash of every multiple of it is 0."""


def test_loads_that_overlap_leave_the_process_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slow = "import os, time\nfrom torch import nn\ndef {}():\n    time.sleep({})\n    return nn.Linear(2, 2)\n"
    (tmp_path / "slownets.py").write_text(slow.format("a", 0.1) + slow.format("b", 0.3) + slow.format("c", 0.2))
    specs = ["slownets:a", "slownets:b", "slownets:c", "efficientnet_lite0", "efficientnet_lite0"]

    def around():
        return {
            "environment": {name: os.environ.get(name) for name in (FORCED, UNFORCED)},
            "arguments": list(sys.argv), "directory": os.getcwd(), "random": torch.get_rng_state().tolist(),
        }  # fmt: skip

    before, failed = around(), []

    def loading(spec):
        try:
            load(spec)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=loading, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
        time.sleep(0.03)
    for thread in threads:
        thread.join()
    assert not failed
    assert around() == before


@pytest.mark.parametrize("of", ["keys", "values"])
def test_labels_whose_numbers_have_one_hash(tmp_path, of):
    numbers = [i * ONE_HASH for i in range(1, 30_000)]
    names = {str(n): "a" for n in numbers} if of == "keys" else {f"n{n}": n for n in numbers}
    (tmp_path / "l.json").write_text(json.dumps(names))
    started = time.process_time()
    with pytest.raises(InputError, match="class 0 has no name"):
        read_labels(tmp_path / "l.json")
    assert time.process_time() - started < 5


@pytest.mark.parametrize("more", [
    {i * ONE_HASH: None for i in range(1, 3000)},
    [i * ONE_HASH for i in range(1, 3000)],
    {(i, i + 1): None for i in range(3000)},
], ids=["numbers as keys", "numbers", "tuples as keys"])  # fmt: skip
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_whose_keys_may_have_one_hash(tmp_path, more, zipped):
    torch.save({"w": torch.zeros(2), "more": more}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="too many tuples as keys, or numbers of more than 8 bytes"):
        pickles.check_pickles(tmp_path / "w.pth")


def test_some_large_numbers_are_nothing(tmp_path):
    more = {"seed": 1 << 70, "state": [(1 << 64) + i for i in range(700)], (1, 2): 3}
    torch.save({"w": torch.zeros(2), "more": more}, tmp_path / "w.pth")
    pickles.check_pickles(tmp_path / "w.pth")
    assert pickle.dumps(more)

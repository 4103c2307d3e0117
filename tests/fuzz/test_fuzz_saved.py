"""Saved attributions, damaged: read as one, or refused with an InputError."""

import io
import tempfile
import zipfile
from pathlib import Path

import torch
from hypothesis import given

from fuzz.mutations import damaged, fuzzed
from seewhy import Attribution
from seewhy.errors import InputError


def saved(**parts):
    made = {
        "values": torch.linspace(-1, 1, 24).reshape(2, 1, 3, 4), "method": "occlusion", "params": {"window": [8, 8]},
        "target": torch.tensor([1, 2]), "score": torch.tensor([0.5, 2.0]), "input_size": (24, 32),
        "details": {"grid": torch.zeros(2, 3, 3)}, "notes": {"engine": "dense"}, **parts,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        Attribution(**made).save(Path(folder, "a.npz"))
        return Path(folder, "a.npz").read_bytes()


def stored(content, instead=()):
    """The same without compression, so that damage reaches what is inside; with other members ``instead``."""
    instead = dict(instead)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as other:
        for entry in archive.infolist():
            other.writestr(entry.filename, instead.get(entry.filename, archive.read(entry)))
    return file.getvalue()


GOOD = [saved(), stored(saved()), saved(target=None, details={}), stored(saved(layer="features.3", overridden=4))]


def read(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        path.write_bytes(content)
        try:
            a = Attribution.load(path)
        except InputError as error:
            lines = str(error).splitlines()
        else:
            lines = None
    if lines is not None:
        assert len(lines) == 1
        return
    assert a.values.dim() == 4
    assert len(a.score) == len(a.values)
    assert torch.isfinite(a.values).all()


@fuzzed
@given(damaged(GOOD))
def test_damaged_files(content):
    read(content)


@fuzzed
@given(damaged([zipfile.ZipFile(io.BytesIO(good)).read("about.npy") for good in GOOD]))
def test_damaged_words_about_itself_in_a_sound_archive(content):
    read(stored(GOOD[0], {"about.npy": content}))


@fuzzed
@given(damaged([zipfile.ZipFile(io.BytesIO(good)).read("values.npy") for good in GOOD]))
def test_damaged_numbers_in_a_sound_archive(content):
    read(stored(GOOD[0], {"values.npy": content}))

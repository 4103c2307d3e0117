"""Saved explanations, damaged: read as one, or refused with an InputError."""

import contextlib
import functools
import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import seewhy
from fuzz.mutations import damaged, fuzzed
from seewhy.errors import InputError
from seewhy.report.from_folder import report_of
from seewhy.results.run import RUN, Run, RunPhoto
from seewhy.results.scales import SCALES
from seewhy.results.viewed import viewed
from taken_apart import Page

NAMES = ["explanation.json", "maps.npz", "crop.png", "whole.webp", "class-1.png"]


@functools.cache
def good():
    """The files of an explanation, by name."""
    photo = np.random.default_rng(0).integers(0, 255, (40, 52, 3), dtype=np.uint8)
    classifier = seewhy.load("nets.tiny:make", input_size=32)
    methods = ["cam", "saliency", "class_visualization"]
    found = seewhy.explain(photo, classifier, methods, [1], versus=2, preset="simonyan", steps=2)
    with tempfile.TemporaryDirectory() as folder:
        found.save(Path(folder, "saved"), figure=False)
        return {name: Path(folder, "saved", name).read_bytes() for name in NAMES}


@fuzzed
@given(st.sampled_from(NAMES), st.data())
def test_a_damaged_explanation_is_read_or_refused(name, data):
    with tempfile.TemporaryDirectory() as folder:
        for each, content in good().items():
            Path(folder, each).write_bytes(content)
        Path(folder, name).write_bytes(data.draw(damaged([good()[name]])))
        with contextlib.suppress(InputError):
            found = seewhy.Explanation.load(folder)
            json.dumps(viewed(found), allow_nan=False)
            for scale in SCALES:
                found.figure(scale=scale)


@fuzzed
@given(st.sampled_from(NAMES), st.data())
def test_a_damaged_explanation_has_its_place_in_the_report(name, data):
    """Drawn, or with the reason; the page is whole, whatever was read."""
    with tempfile.TemporaryDirectory() as folder:
        for each, content in good().items():
            Path(folder, each).write_bytes(content)
        Path(folder, name).write_bytes(data.draw(damaged([good()[name]])))
        page = Page(report_of(Path(folder)))
        (row,) = page.rows
        assert (row["error"] is None) == (1 in page.photos)


@fuzzed
@given(st.data())
def test_a_damaged_run_is_read_or_refused(data):
    run = Run(
        "m", "w", "0.1", "today", "seewhy explain", [RunPhoto("a.png", "a"), RunPhoto("b.png", error="no")], {"a": "b"}
    )
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder), overwrite=False)
        whole = Path(folder, RUN).read_bytes()
        Path(folder, RUN).write_bytes(data.draw(damaged([whole])))
        with contextlib.suppress(InputError):
            Run.load(Path(folder))

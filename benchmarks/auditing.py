"""The pass of an audit beside the forwards alone, and beside reading and forwards: photos per second, paired.

python benchmarks/auditing.py PHOTOS_DIR [--model SPEC] [--weights FILE] [--photos N] [--rounds N]
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import torch
from paired import median, paired, ratio

import seewhy
from seewhy.auditing.passing.collection import Collection, collection_of
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.pictures import read_photo

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_dir")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--weights")
    parser.add_argument("--input-size", type=int)
    parser.add_argument("--photos", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    about = {key: value for key in ("weights", "input_size") if (value := getattr(given, key)) is not None}
    clf = seewhy.load(given.model, **about)
    whole = collection_of(given.photos_dir, clf)
    chosen = np.random.default_rng(0).permutation(len(whole.paths))[: given.photos]
    chosen.sort()
    few = Collection(whole.root, tuple(whole.paths[i] for i in chosen), whole.truth[chosen])
    inputs = torch.cat([clf.preprocess(read_photo(whole.root / path).image) for path in few.paths])

    def forwards(batches):
        with torch.inference_mode():
            for batch in batches:
                clf.model(batch)

    def read():
        for start in range(0, len(few.paths), 64):
            paths = few.paths[start : start + 64]
            yield torch.cat([clf.preprocess(read_photo(few.root / path).image) for path in paths])

    def rows():
        with tempfile.TemporaryDirectory() as folder:
            rows_of(few, clf, folder)

    contenders = {"forwards": lambda: forwards(inputs.split(64)), "read + forwards": lambda: forwards(read()),
                  "rows": rows}  # fmt: skip
    seconds = paired(contenders, given.rounds)
    for name in contenders:
        print(f"{name}: {len(few.paths) / median(seconds, name):.0f} photos/s, "
              f"{1 / ratio(seconds, name, 'forwards'):.2f} of the forwards' throughput")  # fmt: skip

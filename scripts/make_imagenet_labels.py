"""Writes src/seewhy/models/imagenet_classes.tsv from WordNet's names of the 1,000 classes.

    python scripts/make_imagenet_labels.py

It reads two tables that timm carries: the order of the classes (imagenet_synsets.txt) and WordNet's words
for each (imagenet_synset_to_lemma.txt). timm is not imported, only found.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "src" / "seewhy" / "models" / "imagenet_classes.tsv"

# The three pairs of classes that share their first word, told apart by what they are.
TOLD_APART = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n02113186": "Cardigan (dog)",
    "n02963159": "cardigan (jacket)",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (swimsuit)",
}

HEADER = """\
The 1,000 classes of ImageNet (ILSVRC 2012), in the order of a classifier's outputs: the WordNet id, a
tab, the name that is shown, and after commas the other names that WordNet has for it. Made by
scripts/make_imagenet_labels.py.

Source: WordNet 3.0. Its licence:

WordNet Release 3.0 This software and database is being provided to you, the LICENSEE, by Princeton
University under the following license. By obtaining, using and/or copying this software and database,
you agree that you have read, understood, and will comply with these terms and conditions.: Permission
to use, copy, modify and distribute this software and database and its documentation for any purpose and
without fee or royalty is hereby granted, provided that you agree to comply with the following copyright
notice and statements, including the disclaimer, and that the same appear on ALL copies of the software,
database and documentation, including modifications that you make for internal use or for distribution.
WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. THIS SOFTWARE AND DATABASE IS
PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES, EXPRESS OR IMPLIED. BY
WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES OF
MERCHANT- ABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE USE OF THE LICENSED SOFTWARE,
DATABASE OR DOCUMENTATION WILL NOT INFRINGE ANY THIRD PARTY PATENTS, COPYRIGHTS, TRADEMARKS OR OTHER
RIGHTS. The name of Princeton University or Princeton may not be used in advertising or publicity
pertaining to distribution of the software and/or database. Title to copyright in this software,
database and any associated documentation shall at all times remain with Princeton University and
LICENSEE agrees to preserve same.
"""


def main() -> None:
    """Writes the table; says how many classes it has."""
    tables = _timm_tables()
    order = (tables / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    lines = (tables / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    names = dict(line.split("\t") for line in lines)
    header = "".join(f"# {line}".rstrip() + "\n" for line in HEADER.splitlines())
    OUTPUT.write_text(header + "".join(_line(wnid, names[wnid]) for wnid in order), encoding="utf-8")
    print(f"{OUTPUT.name}: {len(order)} classes")


def _line(wnid: str, names: str) -> str:
    shown = f"{TOLD_APART[wnid]}, " if wnid in TOLD_APART else ""
    return f"{wnid}\t{shown}{names}\n"


def _timm_tables() -> Path:
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise SystemExit('timm is not installed: pip install "seewhy[timm]"')
    return Path(spec.origin).parent / "data" / "_info"


if __name__ == "__main__":
    main()

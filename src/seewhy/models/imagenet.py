"""The 1,000 classes of ImageNet: a name each, and the other names that people use."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple


class ImageNetClass(NamedTuple):
    """WordNet's id, the name shown, and every other name (the id among them)."""

    wnid: str
    name: str
    synonyms: tuple[str, ...]


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """In the order of a classifier's outputs."""
    table = files(__package__).joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    return tuple(_parsed(line) for line in table.splitlines() if not line.startswith("#"))


def imagenet_labels() -> tuple[str, ...]:
    """1,000 names, all different."""
    return tuple(known.name for known in imagenet_classes())


def imagenet_synonyms() -> tuple[tuple[str, ...], ...]:
    """The other names of each class."""
    return tuple(known.synonyms for known in imagenet_classes())


def are_imagenet(names: tuple[str, ...]) -> bool:
    """Whether a library's own names (first words count) are ImageNet's, but for the odd spelling."""
    if len(names) != 1000:
        return False
    known = ({each.name.lower(), *map(str.lower, each.synonyms)} for each in imagenet_classes())
    agree = sum(name.split(",")[0].lower() in words for name, words in zip(names, known, strict=True))
    return agree >= 900


def _parsed(line: str) -> ImageNetClass:
    wnid, names = line.split("\t")
    first, *others = names.split(", ")
    return ImageNetClass(wnid, first, (*others, wnid))

"""One pass over the photos of an audit: each is read once, and goes through the network once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import events
from ..errors import SeewhyError
from ..models import Classifier
from ..pictures import read_photo
from .collection import Collection
from .facts import FACTS, facts_of, jpeg_of
from .hashes import hash_of
from .looking import Look
from .rows import Rows
from .shards import Shards

SHARD = 2048


@dataclass(frozen=True, eq=False)
class _Read:
    """A photo, read: its input, and what needs no network; or why it cannot be read."""

    path: str
    inputs: Tensor | None = None
    facts: dict[str, float] | None = None
    hash: int = 0
    digest: str = ""
    error: str = ""


def rows_of(
    collection: Collection,
    classifier: Classifier,
    folder: str | os.PathLike[str],
    *,
    shard: int = SHARD,
    batch_size: int = 64,
) -> tuple[Rows, list[tuple[str, str]]]:
    """The rows of all photos, and the photos that cannot be read, with the reason.

    They are written in shards, each whole or not at all: a pass that was ended at any moment, by whatever, loses the
    shard that it was at, and goes on when it is called again.

    Args:
        collection: the photos.
        classifier: the model.
        folder: where the shards are.
        shard: rows of a file.
        batch_size: images per forward.

    Raises:
        OutputError: the folder holds the rows of another model or of other photos, or cannot be written.
        SeewhyError: the network gives no class scores.
    """
    shards = Shards(Path(folder), collection, classifier, shard)
    look = Look(classifier)
    done = 0
    with ThreadPoolExecutor(2) as readers:
        for number, (paths, truth) in enumerate(shards.parts):
            if not shards.there(number):
                shards.write(number, *_columns(collection.root, paths, truth, classifier, look, readers, batch_size,
                                               done, len(collection.paths)))  # fmt: skip
            done += len(paths)
            events.progress(done, len(collection.paths))
    return shards.read()


def _columns(
    root: Path, paths: tuple[str, ...], truth: Any, classifier: Classifier, look: Look, readers: ThreadPoolExecutor,
    batch_size: int, done: int, total: int,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:  # fmt: skip
    """The columns of a shard, and what cannot be read."""
    parts: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    for start, batch in _batches(root, paths, classifier, readers, batch_size):
        unreadable += [(each.path, each.error) for each in batch if each.inputs is None]
        good = [number for number, each in enumerate(batch) if each.inputs is not None]
        if good:
            known = truth[start : start + len(batch)][good]
            read = [batch[number] for number in good]
            looked = look(torch.cat([each.inputs for each in read if each.inputs is not None]), known)
            facts = {name: np.array([(each.facts or {})[name] for each in read], np.float32) for name in FACTS}
            parts.append({
                "path": [each.path for each in read], "truth": known, **vars(looked), **facts,
                "hash": np.array([each.hash for each in read], np.uint64), "digest": [each.digest for each in read],
            })  # fmt: skip
        events.progress(done + start + len(batch), total)
    return {name: _joined([part[name] for part in parts]) for name in (parts[0] if parts else ())}, unreadable


def _joined(parts: list[Any]) -> Any:
    return [each for part in parts for each in part] if isinstance(parts[0], list) else np.concatenate(parts)


def _batches(
    root: Path, paths: tuple[str, ...], classifier: Classifier, readers: ThreadPoolExecutor, size: int
) -> Iterator[tuple[int, list[_Read]]]:
    """Batches in order; the next one is read while the network looks at this one."""
    starts = range(0, len(paths), size)

    def begun(start: int) -> list[Any]:
        return [readers.submit(_read, root, path, classifier) for path in paths[start : start + size]]

    ahead = begun(0)
    try:
        for start in starts:
            now, ahead = ahead, begun(start + size)
            yield start, [each.result() for each in now]
    finally:
        for each in ahead:
            each.cancel()


def _read(root: Path, path: str, classifier: Classifier) -> _Read:
    try:
        photo = read_photo(root / path)  # refuses what is no regular file, or too large, before it is read
        inputs = classifier.preprocess(photo.image)
        facts = facts_of(photo.image, jpeg_of(root / path))
        return _Read(path, inputs, facts, hash_of(photo.image), photo.sha256)
    except (SeewhyError, OSError) as error:
        return _Read(path, error=str(error))

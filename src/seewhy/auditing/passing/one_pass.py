"""One pass over the photos of an audit: each is read once, and goes through the network once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ... import events
from ...errors import InputError, SeewhyError
from ...models import Classifier
from ...pictures import read_photo
from .collection import Collection
from .facts import FACTS, facts_of, jpeg_of
from .hashes import hash_of
from .looking import Look
from .outputs import failure
from .rows import Rows
from .shards import Shards, write_shard

SHARD = 2048
PROBES = 8
"""Photos that a model is tried on which failed on a whole batch."""


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
    engine: str = "local",
    workers: int | None = None,
    overwrite: bool = False,
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
        engine: "local", or "ray": the shards are made by workers of a Ray cluster, with the same rows.
        workers: how many of a cluster that is begun for this; None: as many as there are processors.
        overwrite: whether rows of another model or of other photos are replaced.

    Raises:
        InputError: there is no such engine, or it is not installed.
        OutputError: the folder holds the rows of another model or of other photos, or cannot be written.
        SeewhyError: the network gives no class scores, or reads other channels than photos have.
    """
    make_all = engine_of(engine)
    classifier.preprocess(Image.new("RGB", (8, 8)))  # a model of other channels says so before photos are read
    shards = Shards(Path(folder), collection, classifier, shard, overwrite=overwrite)
    missing = [number for number in range(len(shards.parts)) if not shards.there(number)]
    sizes = [len(paths) for paths, _ in shards.parts]
    total = len(collection.paths)
    done = total - sum(sizes[number] for number in missing)
    events.progress(done, total)
    tasks, before = [], done
    for number in missing:
        tasks.append(Task(shards.folder, number, collection.root, *shards.parts[number], batch_size, before, total))
        before += sizes[number]
    for task in make_all(tasks, classifier, workers):
        done += len(task.paths)
        events.progress(done, total)
    return shards.read()


@dataclass(frozen=True, eq=False)
class Task:
    """A shard that is to be made: where, which one, and of which photos; and how many photos are done ``before`` it,
    of how many, where shards are made one after the other.
    """

    folder: Path
    number: int
    root: Path
    paths: tuple[str, ...]
    truth: Any
    batch_size: int
    before: int = 0
    total: int = 0

    def make(self, classifier: Classifier) -> None:
        """Read the photos, run the network, write the shard."""
        with ThreadPoolExecutor(2) as readers:
            columns, unreadable = _columns(self, classifier, Look(classifier), readers)
        write_shard(self.folder, self.number, columns, unreadable)


def engine_of(name: str) -> Callable[[list[Task], Classifier, int | None], Iterator[Task]]:
    """What makes shards, and gives each when it is there.

    Raises:
        InputError: there is no such engine, or what it needs is not installed.
    """
    if name == "local":
        return _one_by_one
    if name == "ray":
        from .on_ray import on_ray

        return on_ray
    raise InputError("there is no such engine", expected="local or ray", got=name)


def _one_by_one(tasks: list[Task], classifier: Classifier, workers: int | None) -> Iterator[Task]:
    if workers is not None:
        raise InputError("workers apply to another engine", expected="engine='ray'", got=workers)
    for task in tasks:
        task.make(classifier)
        yield task


def _columns(
    task: Task, classifier: Classifier, look: Look, readers: ThreadPoolExecutor
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The columns of a shard, and what cannot be read."""
    parts: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    failed: list[Exception] = []
    for start, batch in _batches(task.root, task.paths, classifier, readers, task.batch_size):
        unreadable += [(each.path, each.error) for each in batch if each.inputs is None]
        good = [number for number, each in enumerate(batch) if each.inputs is not None]
        if good:
            known = task.truth[start : start + len(batch)][good]
            read = [batch[number] for number in good]
            inputs = torch.cat([each.inputs for each in read if each.inputs is not None])
            looked, kept, errors = look.at_each(inputs, known)
            failed += errors.values()
            first = looked is None and not parts and len(failed) == len(read)
            if first and _fails_on_others(task, start, classifier, look):
                raise failure(failed[0])
            unreadable += [(read[number].path, str(failure(each))) for number, each in errors.items()]
            known, read = known[kept], [read[number] for number in kept]
            if looked is None:
                continue
            facts = {name: np.array([(each.facts or {})[name] for each in read], np.float32) for name in FACTS}
            parts.append({
                "path": [each.path for each in read], "truth": known, **vars(looked), **facts,
                "hash": np.array([each.hash for each in read], np.uint64), "digest": [each.digest for each in read],
            })  # fmt: skip
        events.progress(task.before + start + len(batch), task.total)  # nobody hears it in another process
    return {name: _joined([part[name] for part in parts]) for name in (parts[0] if parts else ())}, unreadable


def _fails_on_others(task: Task, start: int, classifier: Classifier, look: Look) -> bool:
    """Whether the model, which failed on a whole first batch, does so on photos from all over the rest."""
    later = range(start + task.batch_size, len(task.paths))
    for number in later[:: max(1, len(later) // PROBES)]:
        read = _read(task.root, task.paths[number], classifier)
        if read.inputs is not None and look.at_each(read.inputs, task.truth[number : number + 1])[0] is not None:
            return False
    return True


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

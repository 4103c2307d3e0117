"""Shards: the rows of a pass, as Parquet files that are written whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, OutputError
from ..files import make_folder, write_atomically, write_text
from ..legible import in_one_line
from ..models import Classifier
from .collection import Collection
from .facts import FACTS
from .rows import Ints, Rows

FORMAT = 1
ABOUT = "rows.json"


class Shards:
    """The rows of a pass in a folder.

    Args:
        folder: theirs alone.
        collection, classifier: of whom they are.
        size: rows of a shard.

    Raises:
        InputError: pyarrow is not installed.
        OutputError: the folder holds other rows, or cannot be written.

    Attributes:
        parts: for each shard, the paths and the truth of its photos.
    """

    def __init__(self, folder: Path, collection: Collection, classifier: Classifier, size: int):
        self._arrow, self._parquet = _pyarrow()
        self._folder = make_folder(folder)
        starts = range(0, len(collection.paths), size)
        self.parts: list[tuple[tuple[str, ...], Ints]] = [
            (collection.paths[start : start + size], collection.truth[start : start + size]) for start in starts
        ]
        self._claim(_about(collection, classifier, size))

    def there(self, number: int) -> bool:
        """Whether a shard was written."""
        return self._path(number).is_file()

    def write(self, number: int, columns: dict[str, Any], unreadable: list[tuple[str, str]]) -> None:
        """Write a shard.

        Args:
            number: of the shard.
            columns: by name; arrays of one row per photo, or lists of text.
            unreadable: paths of photos that cannot be read, and why.
        """
        pa = self._arrow
        arrays, shapes = {}, {}
        for name, values in columns.items():
            if isinstance(values, list):
                arrays[name] = pa.array(values, pa.string())
                continue
            shapes[name] = list(values.shape[1:])
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            arrays[name] = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(
                flat, int(np.prod(values.shape[1:]))
            )  # fmt: skip
        said = {"seewhy": json.dumps({"shapes": shapes, "unreadable": unreadable})}
        table = pa.table(arrays).replace_schema_metadata(said)
        with write_atomically(self._path(number), overwrite=True) as file:
            self._parquet.write_table(table, file, compression="zstd")

    def read(self) -> tuple[Rows, list[tuple[str, str]]]:
        """All rows, and the photos that cannot be read.

        Raises:
            InputError: no photo can be read, or a shard is damaged.
        """
        parts, unreadable = [], []
        for number in range(len(self.parts)):
            columns, missing = self._read(number)
            unreadable += missing
            if columns:
                parts.append(columns)
        if not parts:
            first = ": ".join(unreadable[0])
            raise InputError("no photo can be read", got=f"{len(unreadable)} that cannot be, such as {first}")
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Rows(
            paths=tuple(joined["path"].tolist()), truth=joined["truth"], predicted=joined["predicted"],
            top_classes=joined["top_classes"], top_probabilities=joined["top_probabilities"],
            truth_probability=joined["truth_probability"], features=joined["features"], maps=joined["maps"],
            facts={name: joined[name] for name in FACTS}, hashes=joined["hash"],
            digests=tuple(joined["digest"].tolist()),
        ), unreadable  # fmt: skip

    def _read(self, number: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        path = self._path(number)
        try:
            table = self._parquet.read_table(path)
            said = json.loads(table.schema.metadata[b"seewhy"])
            columns = {}
            for name in table.column_names:
                column = table[name].combine_chunks()
                shape = said["shapes"].get(name)
                if shape is None:
                    columns[name] = np.array(column.to_pylist(), object)
                else:
                    values = column.flatten() if shape else column
                    columns[name] = values.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
            return columns, [(path, why) for path, why in said["unreadable"]]
        except (OSError, ValueError, KeyError, TypeError, self._arrow.ArrowException) as error:
            what = f"{in_one_line(path)} is damaged"
            raise InputError(what, expected="remove it, and the audit makes it again", got=error) from error

    def _claim(self, about: dict[str, Any]) -> None:
        """The folder is of these rows, or becomes theirs."""
        path = self._folder / ABOUT
        if not path.is_file():
            write_text(path, json.dumps(about, indent=1))
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != about:
            other = [name for name in about if not isinstance(found, dict) or found.get(name) != about[name]]
            raise OutputError(
                f"{in_one_line(self._folder)} holds rows of another pass", expected="another folder, or an empty one",
                got=f"other {', '.join(other)}",
            )  # fmt: skip

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.parquet"


def _about(collection: Collection, classifier: Classifier, size: int) -> dict[str, Any]:
    """What rows hang on: the photos with their labels, the weights, the preprocessing."""
    photos = hashlib.sha256()
    for path, truth in zip(collection.paths, collection.truth.tolist(), strict=True):
        photos.update(f"{truth} {path}\0".encode("utf-8", "surrogateescape"))
    return {
        "format": FORMAT, "model": classifier.name, "weights": classifier.weights_hash,
        "preprocessing": str(classifier.transform), "photos": photos.hexdigest(), "rows per file": size,
    }  # fmt: skip


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError('an audit needs pyarrow: pip install "seewhy[audit]"') from error
    return pyarrow, parquet

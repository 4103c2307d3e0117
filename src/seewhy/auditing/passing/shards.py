"""Shards: the rows of a pass, as Parquet files that are written whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, OutputError
from ...files import make_folder, write_atomically, write_text
from ...legible import in_one_line
from ...models import Classifier
from .collection import Collection
from .facts import FACTS
from .rows import Ints, Rows
from .seen import ABOUT, kept

ROWS = "rows"
"""The folder of the rows, in that of an audit."""
FORMAT = 3
SHARDS = "*.parquet"


class Shards:
    """The rows of a pass in a folder.

    Args:
        folder: theirs alone.
        collection, classifier: of whom they are.
        size: rows of a shard.
        overwrite: whether other rows that the folder holds are replaced.

    Raises:
        InputError: pyarrow is not installed.
        OutputError: the folder holds other rows and ``overwrite`` is False, or cannot be written.

    Attributes:
        folder: as it was given, made.
        parts: for each shard, the paths and the truth of its photos.
    """

    def __init__(
        self, folder: Path, collection: Collection, classifier: Classifier, size: int, *, overwrite: bool = False
    ):
        _pyarrow()
        self.folder = make_folder(folder)
        starts = range(0, len(collection.paths), size)
        self.parts: list[tuple[tuple[str, ...], Ints]] = [
            (collection.paths[start : start + size], collection.truth[start : start + size]) for start in starts
        ]
        self._claim(_about(collection, classifier, size), overwrite)

    def there(self, number: int) -> bool:
        """Whether a shard was written."""
        return self._path(number).is_file()

    def read(self) -> tuple[Rows, list[tuple[str, str]]]:
        """All rows, and the photos that cannot be read.

        Raises:
            InputError: no photo can be read, or a shard is missing or damaged.
        """
        return _read_all(self.folder, len(self.parts))

    def _claim(self, about: dict[str, Any], overwrite: bool) -> None:
        """The folder is of these rows, or becomes theirs."""
        path = self.folder / ABOUT
        if not path.is_file():
            write_text(path, json.dumps(about, indent=1))
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != about and overwrite:
            for shard in self.folder.glob(SHARDS):
                shard.unlink()
            write_text(path, json.dumps(about, indent=1), overwrite=True)
        elif found != about:
            other = [name for name in about if not isinstance(found, dict) or found.get(name) != about[name]]
            raise OutputError(
                f"{in_one_line(self.folder)} holds rows of another pass", expected="another folder, or to replace them",
                got=f"other {', '.join(other)}",
            )  # fmt: skip

    def _path(self, number: int) -> Path:
        return _path(self.folder, number)


def write_shard(folder: Path, number: int, columns: dict[str, Any], unreadable: list[tuple[str, str]]) -> None:
    """Write a shard.

    Args:
        folder: of the shards.
        number: of the shard.
        columns: by name; arrays of one row per photo, or lists of text.
        unreadable: paths of photos that cannot be read, and why.

    Raises:
        InputError: pyarrow is not installed.
        OutputError: it cannot be written.
    """
    pa, parquet = _pyarrow()
    arrays, shapes, odd = {}, {}, {}
    for name, values in columns.items():
        if isinstance(values, list):
            arrays[name] = pa.array([legal(value) for value in values], pa.string())
            odd[name] = {row: value for row, value in enumerate(values) if legal(value) != value}
            continue
        shapes[name] = list(values.shape[1:])
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        arrays[name] = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(
            flat, int(np.prod(values.shape[1:]))
        )  # fmt: skip
    said = {"seewhy": json.dumps({"shapes": shapes, "unreadable": unreadable, "odd": odd})}
    table = pa.table(arrays).replace_schema_metadata(said)
    with write_atomically(_path(folder, number), overwrite=True) as file:
        parquet.write_table(table, file, compression="zstd")


def rows_folder(audit_dir: Path) -> Path:
    """Where the rows of an audit are.

    Raises:
        InputError: there are none.
    """
    if not (folder := audit_dir / ROWS).is_dir():
        expected = f"the --output-dir of an audit, with its folder {ROWS}"
        raise InputError(f"{in_one_line(audit_dir)} holds no rows", expected=expected)
    return folder


def read_rows(folder: str | os.PathLike[str]) -> Rows:
    """The rows that a finished pass left in a folder.

    Raises:
        InputError: there are none, not all, or of another version; a shard is damaged; or pyarrow is not installed.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise InputError(
                f"the rows in {in_one_line(folder)} are of another version", expected=FORMAT, got=about["format"]
            )
        count = -(-about["number of photos"] // about["rows per file"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{in_one_line(folder)} holds no rows of an audit", expected=ABOUT, got=error) from error
    return _read_all(folder, count)[0]


def _read_all(folder: Path, count: int) -> tuple[Rows, list[tuple[str, str]]]:
    parts, unreadable = [], []
    for number in range(count):
        columns, missing = _read(_path(folder, number))
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
        digests=tuple(joined["digest"].tolist()), loss=joined["loss"], margin=joined["margin"],
        predicted_maps=joined["predicted_maps"],
    ), unreadable  # fmt: skip


def _read(path: Path) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    arrow, parquet = _pyarrow()
    if not path.is_file():
        raise InputError(f"{in_one_line(path)} is missing: the pass is not finished", expected="to go on with it first")
    try:
        table = parquet.read_table(path)
        said = json.loads(table.schema.metadata[b"seewhy"])
        columns = {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            shape = said["shapes"].get(name)
            if shape is None:
                columns[name] = np.array(column.to_pylist(), object)
                for row, value in said["odd"].get(name, {}).items():
                    columns[name][int(row)] = value
            else:
                values = column.flatten() if shape else column
                columns[name] = values.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
        return columns, [(path, why) for path, why in said["unreadable"]]
    except (OSError, ValueError, KeyError, TypeError, arrow.ArrowException) as error:
        what = f"{in_one_line(path)} is damaged"
        raise InputError(what, expected="remove it, and the audit makes it again", got=error) from error


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.parquet"


def legal(text: str) -> str:
    """Text that UTF-8 can hold: a byte of a file name that is none becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file: another photo of the same name is another one."""
    try:
        found = path.stat()
    except OSError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns


def _about(collection: Collection, classifier: Classifier, size: int) -> dict[str, Any]:
    """What rows hang on: the photos (names, sizes, times) with their labels, the weights, the preprocessing."""
    photos = hashlib.sha256()
    for path, truth in zip(collection.paths, collection.truth.tolist(), strict=True):
        photos.update(f"{truth} {_stamp(collection.root / path)} {path}\0".encode("utf-8", "surrogatepass"))
    return {
        "format": FORMAT, "model": classifier.name, "weights": classifier.weights_hash,
        "preprocessing": re.sub(r" at 0x[0-9a-fA-F]+", "", str(classifier.transform)), "photos": photos.hexdigest(),
        "number of photos": len(collection.paths), "rows per file": size, "seen": kept(classifier.transform),
    }  # fmt: skip


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError('an audit needs pyarrow: pip install "seewhy[audit]"') from error
    return pyarrow, parquet

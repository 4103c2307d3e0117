"""Files made to run code where they are read: each leaves a trace if it did."""

from __future__ import annotations

import builtins
import io
import struct
import zipfile
from pathlib import Path

import torch


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return builtins.open, (str(self.trace), "w")


def bomb(trace) -> bytes:
    """A checkpoint of torch.save that leaves a trace."""
    file = io.BytesIO()
    torch.save({"state_dict": {"w": torch.zeros(1)}, "more": Bomb(trace)}, file)
    return file.getvalue()


def rewritten(source, target, change, compression=zipfile.ZIP_STORED) -> str:
    """The archive ``source`` with ``change(name, content)`` in the place of each member's content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return str(target)


def two_tables(for_python: bytes, for_torch: bytes) -> bytes:
    """One archive of two with members of the same names and sizes.

    Python's reader takes the table of contents that is right before the last record, torch's the one at the place that
    the record names.
    """
    (first, first_table), (second, second_table) = map(_split, (for_torch, for_python))
    assert len(first_table) == len(second_table)
    shift = len(first) + len(first_table) + len(second) - len(first)  # Python adds this to every place
    moved = _moved(second_table, len(first) + len(first_table) - shift)
    count = first_table.count(b"PK\x01\x02")
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(moved), len(first), 0)
    return first + first_table + second + moved + end


def _split(archive: bytes) -> tuple[bytes, bytes]:
    length, offset = struct.unpack("<2I", archive[-10:-2])
    return archive[:offset], archive[offset : offset + length]


def _moved(table: bytes, by: int) -> bytes:
    found, place = bytearray(table), table.find(b"PK\x01\x02")
    while place >= 0:
        (offset,) = struct.unpack_from("<I", table, place + 42)
        struct.pack_into("<I", found, place + 42, (offset + by) % (1 << 32))
        place = table.find(b"PK\x01\x02", place + 4)
    return bytes(found)


def plain(archive: bytes) -> bytes:
    """The same archive, as Python writes it: without records for large files."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    return file.getvalue()


def exported(path, trace: Path | None = None) -> str:
    """A program of torch.export, in which an expression that leaves a trace stands for a size."""
    from conftest_nets import Small

    batch = torch.export.Dim("batch", min=2, max=9)
    program = torch.export.export(Small().eval(), (torch.zeros(2, 3, 9, 9),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    if trace is not None:
        import json

        def evaluating(found):
            if isinstance(found, dict):
                return {
                    key: f"open({str(trace)!r}, 'w').fileno()" if key == "expr_str" else evaluating(value)
                    for key, value in found.items()
                }
            return [evaluating(each) for each in found] if isinstance(found, list) else found

        before = Path(path).read_bytes()
        rewritten(
            io.BytesIO(before),
            path,
            lambda name, content: (
                json.dumps(evaluating(json.loads(content))).encode() if name.endswith("models/model.json") else content
            ),
        )
    return str(path)

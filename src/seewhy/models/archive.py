"""Whether a zip file is unambiguous, so that Python's reader, which checks it, and torch's, which loads it, agree.

A zip file can be made to have two tables of contents, of which one reader takes the one and another the other; two
members whose names differ in case, which are one to torch; members that overlap; and four megabytes that unpack to
as many gigabytes. What ``torch.save`` writes has nothing of that kind.
"""

from __future__ import annotations

import os
import struct
import zipfile
from typing import BinaryIO

from seewhy.errors import ModelError

from .limits import MOST_DIRECTORY_BYTES

BEGIN = b"PK\x03\x04"
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCAL = struct.Struct("<4s5H3I2H")
LOCATOR = struct.Struct("<4sIQI")
PER_MEMBER = 46  # bytes of an entry without its name


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with a zip signature, which is torch's own criterion."""
    with open(path, "rb") as file:
        return file.read(len(BEGIN)) == BEGIN


def members(path: str | os.PathLike[str]) -> list[zipfile.ZipInfo]:
    """The members of a zip file with one table of contents, in the one place where every reader looks.

    Raises:
        ModelError: it has another form, or is damaged.
    """
    try:
        with open(path, "rb") as file:
            _check_ending(file)
            with zipfile.ZipFile(file) as archive:
                return archive.infolist()
    except Exception as error:  # what a broken archive raises depends on how it is broken
        what = f"{path} is not a readable checkpoint: an archive that is damaged, or not laid out as torch lays it out"
        raise ModelError(what, got=str(error) or type(error).__name__) from error


def check_members(path: str | os.PathLike[str]) -> None:
    """Raises ModelError where a zip file is none that ``torch.save`` could have written."""
    found = members(path)
    wrong = None
    if packed := [member.filename for member in found if member.compress_type != zipfile.ZIP_STORED]:
        wrong = f"{packed[0]} is compressed"
    elif any(member.orig_filename != member.filename for member in found):
        wrong = "a name goes on after its end"
    elif len({member.filename.lower() for member in found}) < len(found):
        wrong = "two of its members have one name"
    elif sum(member.file_size for member in found) > os.path.getsize(path):
        wrong = "its members are larger than itself"
    if wrong is not None:
        expected = "what torch.save writes, whose members are side by side and not compressed"
        raise ModelError(f"{path} is not a readable checkpoint", expected=expected, got=f"an archive of which {wrong}")


def content(path: str | os.PathLike[str], member: zipfile.ZipInfo) -> bytes:
    """A member as it is stored. Python's reader would check its sum, which torch may have been told not to write."""
    with open(path, "rb") as file:
        head = _at(file, member.header_offset, LOCAL.size)
        signature, *_, name, extra = LOCAL.unpack(head)
        if signature != BEGIN:
            raise ValueError("a member is not where it should be")
        return _at(file, member.header_offset + LOCAL.size + name + extra, member.file_size)


def _check_ending(file: BinaryIO) -> None:
    """Raises ValueError where the table of contents is not right before the archive's last record, or too large."""
    size = file.seek(0, os.SEEK_END)
    begin = size - END.size
    signature, _, _, _, count, length, offset, comment = END.unpack(_at(file, begin, END.size))
    if signature != b"PK\x05\x06" or comment:
        raise ValueError("there is something after its last record")
    if begin >= LOCATOR.size and _at(file, begin - LOCATOR.size, 4) == b"PK\x06\x07":
        begin -= LOCATOR.size + END64.size
        where = LOCATOR.unpack(_at(file, begin + END64.size, LOCATOR.size))[2]
        signature, *_, count, length, offset = END64.unpack(_at(file, begin, END64.size))
        if signature != b"PK\x06\x06" or where != begin:
            raise ValueError("its records for large files are not where they should be")
    if length > MOST_DIRECTORY_BYTES:
        raise ValueError(f"its table of contents has {length:,} bytes, more than {MOST_DIRECTORY_BYTES:,}")
    if offset + length != begin or count * PER_MEMBER > length:
        raise ValueError("its table of contents is not where it should be")


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    if place < 0:
        raise ValueError("it is cut short")
    file.seek(place)
    if len(found := file.read(count)) < count:
        raise ValueError("it is cut short")
    return found

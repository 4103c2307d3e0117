"""What a pickle of weights would do, before torch's reader of tensors does it.

That reader calls nothing but what it knows, and knows more than weights need: ``bytearray(10**11)`` takes that much
memory, and as a key of a dictionary a tuple of twice the same tuple, forty levels deep, is hashed for days.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from collections.abc import Iterator
from os import PathLike
from typing import IO, Any, cast

import torch

from seewhy.errors import ModelError

from .archive import content, is_zip, members
from .limits import MOST_IN_A_TUPLE, MOST_OPERATIONS, MOST_TENSORS, MOST_TUPLES_AS_KEYS, first_line
from .trust import IF_TRUSTED, refuse_untrusted

FUNCTIONS = (
    *(f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "tensor_v3", "parameter")),
    *(f"torch._utils._rebuild_{kind}" for kind in ("parameter_with_state", "sparse_tensor", "qtensor")),
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._tensor._rebuild_from_type_v2",
    "torch.serialization._get_layout",
    "torch.nn.parameter.Parameter",
    "torch.device",
    "torch.Size",
    "collections.OrderedDict",
    "collections.Counter",
    "_codecs.encode",  # for bytes
    "builtins.set",
    "__builtin__.set",
    "torch.storage.UntypedStorage",
    "torch.storage.TypedStorage",
)
LEGACY_PICKLES = 5  # in a file from before torch 1.6, before the numbers themselves
TAKEN = {"APPEND": 1, "SETITEM": 2, "BUILD": 1, "REDUCE": 1, "NEWOBJ": 1}
"""What an operation takes off the stack, of which it changes what is below."""


def check_pickles(path: str | PathLike[str], otherwise: str = IF_TRUSTED) -> None:
    """Looks at the pickles in a checkpoint of torch, and runs none of them.

    Args:
        otherwise: what is expected where one would run more than weights need.

    Raises:
        ModelError: they are damaged, need trust, or would take time without end.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of how a text in it is written
            for file in _pickles(path):
                _check(file, str(path), otherwise)
    except ModelError:
        raise
    except Exception as error:  # what broken bytes raise depends on how they are broken
        raise ModelError(f"{path} is not a readable checkpoint", got=first_line(error)) from error


def _pickles(path: str | PathLike[str]) -> Iterator[IO[bytes]]:
    """A file for each pickle, at its beginning."""
    if is_zip(path):
        yield from (io.BytesIO(content(path, each)) for each in members(path) if each.filename.lower().endswith(".pkl"))
        return
    with open(path, "rb") as file:
        for _ in range(LEGACY_PICKLES):  # each begins where the one before ended
            yield file


def _check(file: IO[bytes], path: str, otherwise: str) -> None:
    """One pickle: which functions it names, and how many objects are in each of its tuples, all levels counted."""
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}
    tensors = keys = 0
    for count, (operation, given, _) in enumerate(pickletools.genops(file)):
        tensors += operation.name == "BINPERSID"
        if tensors > MOST_TENSORS:
            raise ModelError(f"{path} holds too many tensors", expected=f"at most {MOST_TENSORS:,}")
        if keys > MOST_TUPLES_AS_KEYS:
            what = f"{path} holds too many tuples as keys, or numbers of more than 8 bytes"
            raise ModelError(what, expected=f"the state_dict saved alone; or {otherwise}")
        if count > MOST_OPERATIONS:
            what = f"{path} holds too much beside its tensors, more than is looked through"
            raise ModelError(what, expected=f"the state_dict saved alone; or {otherwise}")
        name, argument = operation.name, cast(Any, given)
        keys += isinstance(argument, int) and abs(argument) >= 1 << 63
        if name == "MARK":
            marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            begin = marks.pop() if name == "TUPLE" else len(stack) - int(name[-1])
            stack[begin:] = [1 + sum(stack[begin:])]
            if stack[-1] > MOST_IN_A_TUPLE:
                raise ModelError(f"{path} holds a tuple of too much", expected=f"at most {MOST_IN_A_TUPLE:,} in it")
        elif name in TAKEN:
            keys += name == "SETITEM" and stack[-2] > 1
            del stack[len(stack) - TAKEN[name] :]
            if name in ("REDUCE", "NEWOBJ"):
                stack[-1] = 1
        elif name in ("APPENDS", "SETITEMS"):
            begin = marks.pop()
            keys += sum(size > 1 for size in stack[begin::2]) if name == "SETITEMS" else 0
            del stack[begin:]
        elif name == "BINPERSID":
            stack[-1] = 1
        elif name == "GLOBAL":
            stack.append(1)
            if not _is_known(called := argument.replace(" ", ".")):
                refuse_untrusted(path, f"is a pickle with more than weights in it ({called})", otherwise)
        elif name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "PERSID", "EXT1", "EXT2", "EXT4"):
            refuse_untrusted(path, f"is a pickle with more than weights in it ({name})", otherwise)
        elif operation.stack_after:
            stack.append(1)


def _is_known(called: str) -> bool:
    """Whether weights need it: one of the functions, a kind of number, or what a program told torch that it trusts."""
    module, _, name = called.rpartition(".")
    if called in FUNCTIONS or (module == "torch" and (name.endswith("Storage") or _is_kind(name))):
        return True
    return any(called == _name_of(safe) for safe in torch.serialization.get_safe_globals())


def _is_kind(name: str) -> bool:
    return isinstance(getattr(torch, name, None), torch.dtype | torch.qscheme)


def _name_of(safe: Any) -> str:
    if isinstance(safe, tuple):
        return str(safe[1])
    return f"{getattr(safe, '__module__', '')}.{getattr(safe, '__qualname__', '')}"

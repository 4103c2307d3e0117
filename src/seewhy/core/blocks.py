"""Context managers of one thread that are not exited in reverse order, as two notebook cells may do.

What an inner block found was made by the outer one; so the outer one puts back what it found only after the inner.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from torch import nn

from ..interrupts import shielded


class Block:
    """One block.

    Attributes:
        own: puts back what belongs to the model; waits for later blocks on any part of it.
        torchs: puts back what torch is set to in this thread; waits for all later blocks.
        finished: whether the block ended without an error.
    """

    def __init__(self, modules: Sequence[nn.Module]):
        self.thread, self._modules = threading.get_ident(), modules
        self.own, self.torchs = ExitStack(), ExitStack()
        self.finished = False

    def shares(self, other: Block) -> bool:
        """Whether it is on a part of the other's model."""
        return not set(map(id, self._modules)).isdisjoint(map(id, other._modules))


_open: list[Block] = []


@shielded
def opened(modules: Sequence[nn.Module]) -> Iterator[Block]:
    """A block on a model with these modules."""
    block = Block(modules)
    _open.append(block)
    # What is entered in the two stacks meanwhile is left here, or by a later block that is still open.
    with ExitStack() as last:
        try:
            yield block
        finally:
            later = [other for other in _open[_open.index(block) + 1 :] if other.thread == block.thread]
            _open.remove(block)
            sharing = next((other for other in later if other.shares(block)), None)
            _after(later[0] if later else None, "torchs", block.torchs, last)
            _after(sharing, "own", block.own, last)


def _after(other: Block | None, which: str, stack: ExitStack, now: ExitStack) -> None:
    """Leave a stack now, or at the end of the other block's of the same name."""
    if other is None:
        now.enter_context(stack.pop_all())
        return
    theirs: ExitStack = getattr(other, which)
    rest = theirs.pop_all()
    theirs.enter_context(stack.pop_all())
    theirs.enter_context(rest)

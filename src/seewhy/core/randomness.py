"""The state of torch's random number generators, kept over a block; right also where blocks of threads overlap."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import count

import torch
from torch import Tensor

from ..interrupts import shielded

_lock = threading.Lock()
_blocks: list[_Block] = []
_numbers = count()


class _Block:
    """The states when a block began, by device."""

    def __init__(self, devices: Iterable[torch.device]):
        self.thread, self.number = threading.get_ident(), next(_numbers)
        self.cpu = torch.get_rng_state()
        self.cuda: dict[torch.device, Tensor] = {device: torch.cuda.get_rng_state(device) for device in devices}


@shielded
def same_randomness(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Afterwards the generators, of the CPU and of these CUDA devices, are as if nothing had been drawn.

    They belong to the process: of threads whose blocks overlap, the last to end puts back what the first found.
    """
    with _lock:
        mine = _Block(devices)
        _blocks.append(mine)
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(mine)
            later = next((block for block in _blocks if block.thread != mine.thread), None)
            if later is None:
                torch.set_rng_state(mine.cpu)
                for device, state in mine.cuda.items():
                    torch.cuda.set_rng_state(state, device)
            elif mine.number < later.number:
                later.cpu, later.cuda = mine.cpu, {**later.cuda, **mine.cuda}

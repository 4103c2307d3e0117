"""What makes torch fast on a busy or a small machine, as far as Python can set it.

``OMP_WAIT_POLICY=PASSIVE``: threads that wait by spinning take the cores from those that work: on a machine that does
something else as well, a call took twenty times as long. It is read when torch is imported.
``ONEDNN_PRIMITIVE_CACHE_CAPACITY``: occlusion meets more shapes than oneDNN remembers kernels for; one forgotten is
generated again. It is read when the first kernel is made.
"""

from __future__ import annotations

import os
import sys
import warnings

SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8192"}

_late = "torch" in sys.modules and "OMP_WAIT_POLICY" not in os.environ


def apply_settings() -> None:
    """Set what the environment does not hold already; torch must not have been imported before."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def warn_if_busy() -> None:
    """Say once, in a process whose torch was imported before seewhy, what would help on a machine as busy as this."""
    global _late
    if _late and hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1):
        _late = False
        warnings.warn(
            "the machine is busy, and torch's threads wait by spinning, which can slow occlusion down twentyfold: set "
            "OMP_WAIT_POLICY=PASSIVE before Python starts, or import seewhy before torch",
            RuntimeWarning, stacklevel=2,
        )  # fmt: skip

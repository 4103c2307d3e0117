"""Damaged copies of good files, and how many of them are tried."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("SEEWHY_FUZZ_EXAMPLES", "60"))
"""For each target on every run; `make fuzz` sets many more."""

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="SEEWHY_FUZZ_EXAMPLES" not in os.environ,  # the same on every run of CI, others in `make fuzz`
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

NASTY = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 4, b"\0" * 4, b"../", b"%s", b"\x1b[31m", b"NaN", b"[[[[")
"""What bytes are often mistaken for: no length, every length, the largest one, and text that means something."""


@st.composite
def damaged(draw, good):
    """One to eight changes to one of the ``good`` contents: bytes set, cut out, repeated, put in, or cut off; or an end
    of another one put on.
    """
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 16, 256, 4096]))
        change = draw(st.sampled_from(["set", "nasty", "cut", "repeat", "insert", "truncate", "splice"]))
        if change == "set":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif change == "nasty":
            nasty = draw(st.sampled_from(NASTY))
            data[at : at + len(nasty)] = nasty
        elif change == "cut":
            del data[at : at + length]
        elif change == "repeat":
            data[at:at] = data[at : at + length] * draw(st.integers(1, 20))
        elif change == "insert":
            data[at:at] = draw(st.binary(max_size=64))
        elif change == "truncate":
            del data[at:]
        else:
            other = draw(st.sampled_from(good))
            data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)

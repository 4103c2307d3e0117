"""What to do about a candidate that is proven."""

from __future__ import annotations

from .candidate import Candidate

LAST_LAYER = "train the last layer again with as many photos with it as without it, in each class: `seewhy fix`"


def advised(candidate: Candidate) -> tuple[str, ...]:
    """A line for each thing to do, the cheapest first."""
    name = candidate.class_name
    if candidate.kind == "global":
        return (
            f"find out where it comes from: another camera, program or place for {name} than for the other classes",
            LAST_LAYER,
            f"collect photos of {name} without it, and of other classes with it: a test set needs both",
            "change photos of all classes at random like this while training, so that it says nothing of any",
        )
    if candidate.kind != "stamp":
        return (f"look whether it belongs to {name}; if it does not, collect photos of {name} without it",)
    return (
        f"remove it from the photos of {name} that carry it, which are listed, or cover it, and train again",
        LAST_LAYER,
        f"collect photos of {name} without it, and of other classes with it: a test set needs both",
        "put it on random photos of all classes while training, so that it says nothing of any",
    )

"""The photos of the launch that excite a channel most."""

from __future__ import annotations

from .. import events
from ..errors import InputError
from ..exemplars import Unit, exemplars
from .jobs import Job
from .live_model import LiveModel
from .messages import FindExemplars
from .photos import Photos


def find(job: Job, asked: FindExemplars, model: LiveModel, photos: Photos) -> None:
    """Look at all photos of the launch, with a copy of the network, since nobody shall wait for a whole folder.

    Raises:
        SeewhyError: there is no such channel, or no photo to look at.
    """
    ids = photos.folder_paths()
    if not ids:
        what = "there is no folder to look for photos in"
        raise InputError(what, expected="a page that was opened with a folder: seewhy app PHOTOS")
    unit, told = Unit(asked.channel, asked.layer), job.listener()

    def listen(event: events.Event) -> None:
        if event.kind == "progress":
            job.priority.give_way_to_all()
        told(event)

    with (
        model.private(job.control) as (classifier, _),
        events.job("Photos", listener=listen, cancellation=job.control),
    ):
        found = exemplars(classifier, list(ids), [unit], count=asked.count, batch_size=8)[unit]
    top = [
        {"photo": ids[str(each.path)], "name": each.path.name, "value": each.value, "box": list(each.box)}
        for each in found.top
    ]
    job.tell("exemplars", layer=asked.layer, channel=asked.channel, top=top)

"""The strongest channels of a layer, for the page."""

from __future__ import annotations

from ..pictures import Photo
from ..strongest import strongest
from ..viewer.planes import plane
from .jobs import Job
from .live_model import LiveModel
from .messages import Channels


def tell_channels(job: Job, asked: Channels, model: LiveModel, photo: Photo) -> None:
    """Find them, and tell them with their maps.

    Raises:
        SeewhyError: there is no such layer, class or place.
    """
    with model.session.turn(job.control) as classifier:
        inputs = classifier.preprocess(photo.image)
        found = strongest(classifier, inputs, asked.layer, asked.target, at=asked.at, count=asked.count)
    listed = [
        {"channel": each.channel, "effect": each.effect, "activation": each.activation, "plane": plane(each.map)}
        for each in found.channels
    ]
    job.tell("channels", layer=found.layer, shape=list(found.shape), score=found.score, channels=listed)

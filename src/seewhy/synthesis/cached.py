"""Class pictures from the cache, or made: a picture of a class does not depend on the photo that asks for it.

A file's name is a hash of everything that the picture was made by. What cannot be hashed, the code that the network
runs, is asked itself: a kept picture is used if the network gives it the score that it had. So a damaged or a foreign
file, or one of a network that has changed, is made anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from .. import events
from ..core.company import coarse
from ..core.guest import original
from ..core.target import logits_of
from ..errors import InputError, ModelError, OutputError, TargetError
from .ascent import Ascent
from .asked import sized
from .attempts import ATTEMPTS
from .cache import Cache
from .pixels import Normalization
from .presets import find_preset
from .verdicts import verdicts
from .visualization import FORMAT, Visualization
from .visualize import visualize

PICTURES = 1
"""Raised when the same ascent makes other pictures than it made before."""

MOST_PIXELS = 4 * 224 * 224
"""Of an ascent, all its images together: a step keeps the network's activations of all of them."""

MOST_AT_ONCE = 64

TOLERANCE, COARSE_TOLERANCE = 1e-3, 2e-2
"""How far the score of a kept picture may be from the one that it had, over one or the score: rounding gives 1e-5, and
1e-2 where products are rounded coarsely."""

Wanted: TypeAlias = "int | str | tuple[int, int]"
"""A class by index or name; or (index, -1): a network of one output's decision against its class."""


class Pictures(dict[Any, Visualization]):
    """What was asked for -> its picture, a visualization of one image; ``notes`` say what is to be known of the cache,
    such as that nothing can be written to it.
    """

    notes: tuple[str, ...] = ()


def cached(
    classifier: Any,
    targets: Iterable[Wanted],
    *,
    ascent: Ascent | None = None,
    preset: str = "default",
    steps: int | None = None,
    seed: int = 0,
    attempts: int = ATTEMPTS,
    batch: int | None = None,
    cache: Cache | None = None,
    make: bool = True,
) -> Pictures:
    """The picture of each class, from the cache; what is missing is made, many at once, and kept.

    Args:
        classifier: from ``seewhy.load`` or ``seewhy.classifier``.
        targets: classes.
        ascent, preset, steps, seed, attempts: see ``visualize``.
        batch: pictures per ascent; None: 4 of 224 x 224 pixels, more where they are smaller.
        cache: where; None: the user's, see ``synthesis.cache``.
        make: whether what is missing is made; else it is left out.

    Raises:
        SeewhyError: a class is unknown, or the network cannot be ascended. No failure of the cache's is an error.
        KeyboardInterrupt: Ctrl-C; pictures that were whole before it are kept.
    """
    wanted = {target: _class_of(target, classifier) for target in targets}
    plan = (find_preset(preset) if ascent is None else ascent).but(steps=steps)
    cache = Cache() if cache is None else cache
    notes: list[str] = []
    asked = list(dict.fromkeys(wanted.values()))
    keys = _keys(asked, classifier, plan, seed, attempts, notes)
    found: dict[_Class, Visualization] = {}
    for each, key in keys.items():
        made = cache.find(key)
        if made is not None and _holds(made, classifier, each, plan):
            found[each] = made
    missing = [each for each in asked if each not in found] if make else []
    options = {"ascent": plan, "seed": seed, "attempts": attempts}
    for each, made in _each_made(classifier, missing, options, batch):
        found[each] = made
        if each in keys and not notes and len(made.history) == plan.steps:
            try:
                cache.keep(keys[each], made)
            except OutputError as error:
                notes.append(f"class pictures are not kept: {error}")
    pictures = Pictures(
        {target: _labelled(found[each], classifier, each) for target, each in wanted.items() if each in found}
    )
    pictures.notes = tuple(notes)
    return pictures


@dataclass(frozen=True)
class _Class:
    index: int
    sign: int = 1


def _class_of(target: Wanted, classifier: Any) -> _Class:
    if not isinstance(target, tuple):
        return _Class(classifier.index(target))
    index, sign = target
    if sign not in (1, -1):
        raise TargetError("a decision is for a class or against it", expected="(index, 1) or (index, -1)", got=target)
    return _Class(classifier.index(index), sign)


def _each_made(
    classifier: Any, missing: Sequence[_Class], options: dict[str, Any], batch: int | None
) -> Iterator[tuple[_Class, Visualization]]:
    """All of ``missing``, in as few ascents as may be."""
    if batch is None:
        batch = at_once(sized(None, classifier))
    waiting = [*missing]
    while waiting:
        together = [each for each in waiting if each.sign > 0][:batch] or waiting[:1]
        begin, share = 1 - len(waiting) / len(missing), len(together) / len(missing)
        with events.part(_named(classifier, together), begin, share):
            try:
                made = _made(classifier, together, options)
            except ModelError:
                if len(together) == 1:
                    raise
                batch = 1  # its images may see each other; if it was something else, it comes again
                continue
        if made.interrupted:
            raise KeyboardInterrupt
        for row, each in enumerate(together):
            yield each, made[row]
        waiting = [each for each in waiting if each not in together]


def at_once(size: tuple[int, int]) -> int:
    """How many pictures of (H, W) go into one ascent."""
    height, width = size
    return min(max(1, MOST_PIXELS // (height * width)), MOST_AT_ONCE)


def _made(classifier: Any, together: Sequence[_Class], options: dict[str, Any]) -> Visualization:
    if together[0].sign > 0:
        return visualize(classifier, [each.index for each in together], **options)
    made = visualize(classifier, _against, **options)
    assert made.score is not None
    return replace(made, probability=made.score.sigmoid())


def _labelled(made: Visualization, classifier: Any, of: _Class) -> Visualization:
    """With what the classifier calls it today: names are no part of the key."""
    name = f"{'not ' if of.sign < 0 else ''}{classifier.label(of.index)}"
    return replace(made, labels=None if classifier.labels is None else (name,))


def _against(outputs: Any) -> Tensor:
    """The score of a network of one output for not being of its class."""
    logits = logits_of(outputs)
    if logits.shape[1] != 1:
        raise TargetError("only a network of one output decides against its class", got=f"{logits.shape[1]} outputs")
    return -logits[:, 0]


def _named(classifier: Any, together: Sequence[_Class]) -> str:
    first = str(classifier.label(together[0].index))
    return first if len(together) == 1 else f"{first} and {len(together) - 1} more"


def _holds(made: Visualization, classifier: Any, of: _Class, plan: Ascent) -> bool:
    """Whether a kept picture is what it should be: the network gives it the score that it had."""
    whole = not made.interrupted and len(made.history) == plan.steps
    if made.images.shape != (1, len(classifier.mean), *sized(None, classifier)) or not whole:
        return False
    if made.score is None or made.probability is None or (made.target is None) == (of.sign > 0):
        return False
    module = original(classifier)
    like = next((p for p in module.parameters() if p.is_floating_point()), made.images).float()
    scale, images = Normalization(classifier.mean, classifier.std, like), made.images.to(like.device)
    said = verdicts(module, scale, images, of.index if of.sign > 0 else _against)
    probability = said.score.sigmoid() if said.probability is None else said.probability
    tolerance = COARSE_TOLERANCE if coarse(like) else TOLERANCE
    near = [
        bool((now.cpu() - before).abs() <= tolerance * before.abs().clamp(min=1))
        for now, before in ((said.score, made.score), (probability, made.probability))
    ]
    return all(near) and (made.target is None or made.target.tolist() == [of.index])


def _keys(
    asked: Sequence[_Class], classifier: Any, plan: Ascent, seed: int, attempts: int, notes: list[str]
) -> dict[_Class, str]:
    """The hash of everything that each picture is made by; none, with a note, where that cannot be told."""
    module = original(classifier)
    try:
        if not classifier.weights_hash:
            raise InputError("the network's weights have no hash")
        parts = {field.name: _plain(getattr(plan, field.name)) for field in fields(plan) if field.name != "source"}
    except InputError as error:
        notes.append(f"class pictures are not kept: {error}")
        return {}
    structure = re.sub(r" at 0x[0-9a-fA-F]+", "", str(module))
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    device = next((tensor.device.type for tensor in module.parameters()), "cpu")
    made_by = [
        FORMAT, PICTURES, classifier.weights_hash, kind, structure, sized(None, classifier), list(classifier.mean),
        list(classifier.std), parts, seed, attempts, torch.__version__.split(".")[:2], device,
    ]  # fmt: skip
    described = {each: json.dumps([*made_by, each.index, each.sign]) for each in asked}
    return {each: hashlib.sha256(text.encode()).hexdigest() for each, text in described.items()}


def _plain(value: Any) -> Any:
    """A part of an ascent as JSON holds it.

    Raises:
        InputError: nobody can tell whether it does the same tomorrow: a function, or someone's own transform.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Tensor):
        array = value.detach().cpu().contiguous().numpy()
        return [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(value, Image.Image):
        return [value.mode, value.size, hashlib.sha256(value.tobytes()).hexdigest()]
    kind = type(value)
    if is_dataclass(value) and kind.__module__.startswith("seewhy."):
        return [kind.__qualname__, {field.name: _plain(getattr(value, field.name)) for field in fields(value)}]
    raise InputError("an ascent with code of one's own has no name to be found by", got=repr(value)[:80])

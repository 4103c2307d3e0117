"""Options that several subcommands share, and those that come from the methods' own fields."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import MISSING, fields
from math import isfinite
from typing import Any, TypeVar

import click

from ..core.method import Method
from ..errors import InputError, MethodError, ModelError, SeewhyError
from ..legible import message
from ..methods import METHODS
from ..models import Classifier, load
from .streams import give_up_stdout

F = TypeVar("F", bound=Callable[..., Any])


class _Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """``32``, ``32x16``, ``0.5``, ``0.1,0.2,0.3`` or a word."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.replace("x", ",").split(",") if value[:1].isdigit() or value[:1] in "-." else [value]
        try:
            numbers = tuple(int(part) if part.strip().lstrip("-").isdigit() else float(part) for part in parts)
        except ValueError:
            return value
        if not all(isfinite(number) for number in numbers):
            where = "" if param is None else f" of {param.opts[0]}"
            raise InputError(f"a value{where} is not finite", expected="a number", got=value)
        return numbers[0] if len(numbers) == 1 else numbers


_NUMBERS = _Numbers()


def model_options(function: F) -> F:
    """--model and everything about how it is loaded."""
    return _model_options(function, several=False)


def models_options(function: F) -> F:
    """The same for several models: --model, --weights and --labels may be repeated."""
    return _model_options(function, several=True)


def _model_options(function: F, *, several: bool) -> F:
    each = " Of several models, once for each, in their order; '' for its own." if several else ""
    for option in reversed([
        click.option("--model", "-m", "spec", default=("efficientnet_lite0",) if several else "efficientnet_lite0",
                     show_default=True, metavar="SPEC", multiple=several,
                     help="efficientnet_lite0, torchvision:NAME, timm:NAME, hf:NAME-or-folder, package.module:factory, "
                          "or, with --trust, a file with a whole network: .pt2, .pt, .pth."),
        click.option("--weights", metavar="FILE", multiple=several,
                     help=f"A .safetensors file or a checkpoint; or 'random'.{each}"),
        click.option("--labels", metavar="FILE", multiple=several,
                     help=f"Class names: one per line, or JSON.{each}"),
        click.option("--trust", is_flag=True, help="Read a file that can run any code: a whole network, or a pickle "
                     "with more than weights in it."),
        click.option("--trust-pickle", is_flag=True, hidden=True),  # its name until 0.1
        click.option("--input-size", type=_NUMBERS, metavar="N|HxW", help="Of a network of one's own; default 224."),
        click.option("--mean", type=_NUMBERS, multiple=True, help="For pixels in [0, 1]; per channel, or one for all."),
        click.option("--std", type=_NUMBERS, multiple=True, help="Per channel, or one for all."),
        click.option("--device", default=None, help="cpu, cuda, cuda:1, ...; default cpu."),
    ]):  # fmt: skip
        function = option(function)
    return function


MODEL_KEYS = ("spec", "weights", "labels", "trust", "trust_pickle", "input_size", "mean", "std", "device")


def load_model(given: Mapping[str, Any]) -> Classifier:
    """The classifier that ``model_options`` ask for."""
    chosen = {key: given[key] for key in MODEL_KEYS if given[key] not in (None, ())}
    for key in ("mean", "std"):  # given once per channel, or once with commas
        if key in chosen:
            chosen[key] = [each for one in chosen[key] for each in (one if isinstance(one, tuple) else (one,))]
    with foreign():
        return load(chosen.pop("spec"), **chosen)


def load_models(given: Mapping[str, Any]) -> list[Classifier]:
    """The classifiers that ``models_options`` ask for.

    Raises:
        InputError: there are not as many weights or labels as models.
    """
    specs: tuple[str, ...] = given["spec"]
    for name in ("weights", "labels"):
        if given[name] and len(given[name]) != len(specs):
            expected = f"--{name} once for each of them, in their order" if len(specs) > 1 else f"--{name} once"
            raise InputError(f"--{name} does not go with the models", expected=expected, got=len(given[name]))
    found = []
    for number, spec in enumerate(specs):
        own = {name: (given[name][number] or None) if given[name] else None for name in ("weights", "labels")}
        found.append(load_model({**given, **own, "spec": spec}))
    return found


def tell_notes(classifier: Classifier) -> None:
    """What a reader must know of the model, on stderr, a line each."""
    for note in classifier.notes:
        click.echo(f"note: {message(note)}", err=True)


@contextmanager
def foreign(classifier: Classifier | None = None) -> Iterator[None]:
    """For the time that a model runs, which is foreign code: it prints and raises what it likes.

    What it prints goes to stderr, since stdout is the command's own. What it raises becomes one line, unless the
    environment holds SEEWHY_TRACEBACK.

    Raises:
        ModelError: the model raised something.
    """
    give_up_stdout()
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as raised:
        error = raised.__cause__ if isinstance(raised.__cause__, SystemExit) else raised
        if isinstance(error, SeewhyError):
            raise
        if os.environ.get("SEEWHY_TRACEBACK"):
            raise
        said = f"{type(error).__name__}: {error}"
        if classifier is None:
            raise ModelError(f"the model cannot be loaded: {said}") from error
        size, channels = " × ".join(map(str, classifier.input_size)), len(classifier.mean)
        fed = f"given pictures of {size} with {channels} channel{'' if channels == 1 else 's'}"
        ways_out = "--input-size, or --mean and --std once per channel, if it was made for others"
        raise ModelError(f"the model failed ({fed}): {said}", expected=ways_out) from error


def method_options(function: F) -> F:
    """One flag per parameter of each method, ``--occlusion-window``; ``--layer`` stands for all layer parameters."""
    for method in reversed(METHODS):
        for field in reversed(fields(method)):
            if field.name == "layer":
                continue
            flag = f"--{method.id}-{field.name}".replace("_", "-")
            text = f"{method.title}: {field.metadata['help']}."
            if isinstance(field.default, bool):
                option = click.option(f"{flag}/{flag.replace('--', '--no-', 1)}", default=None, help=text)
            elif choices := field.metadata["choices"]:
                option = click.option(flag, type=click.Choice(choices), default=None, help=text)
            else:
                option = click.option(flag, type=_NUMBERS, default=None, help=text)
            function = option(function)
    return function


def build_method(method: type[Method], given: Mapping[str, Any], layer: str | None) -> Method:
    """The method with the parameters that the command line gives it."""
    chosen = {}
    for field in fields(method):
        value = layer if field.name == "layer" else given.get(f"{method.id}_{field.name}")
        if value is not None and field.default is not MISSING:
            chosen[field.name] = value
    try:
        return method(**chosen)
    except SeewhyError:
        raise
    except Exception as error:  # another person's
        what = f"the method {method.__name__} cannot be made so"
        raise MethodError(
            what, expected="default values for all of its fields", got=f"{type(error).__name__}: {error}"
        ) from error


def with_parameters(given: Mapping[str, Any]) -> set[str]:
    """The ids of the methods that the command line gives a parameter of their own."""
    return {
        method.id
        for method in METHODS
        if any(given.get(f"{method.id}_{field.name}") is not None for field in fields(method))
    }


def colour(text: str) -> tuple[int, int, int]:
    """Red, green, blue, 0..255, of a name or ``#rrggbb``."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
        if not all(0 <= part <= 255 for part in (red, green, blue)):
            raise ValueError(text)
    except (ValueError, OverflowError) as error:  # an angle may be infinite
        raise InputError("this is no colour", expected="a name such as white, or #rrggbb", got=repr(text)) from error
    return red, green, blue


class WholeNumbers(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """Some whole numbers, with commas between them.

    Args:
        names: what each of them is.
    """

    def __init__(self, *names: str):
        self.name, self._count = ",".join(names), len(names)

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count:
            where = "this" if param is None else param.opts[0]
            raise InputError(f"{where} is {self._count} whole numbers", expected=self.name, got=repr(value))
        return numbers

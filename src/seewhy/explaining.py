"""One target of one photo, explained by every method."""

from __future__ import annotations

from . import events
from .api import run
from .core.attribution import Attribution
from .core.method import Method
from .core.record import Record
from .errors import MethodError, SeewhyError
from .methods import METHODS
from .models import Classifier
from .models.prediction import Ranked, ranked
from .request import Request
from .results import Explained, View


def explained(classifier: Classifier, record: Record, request: Request) -> Explained:
    """One target, by every method that was asked for; a method that does not apply has its error among the views."""
    assert record.target is not None
    assert record.logits is not None
    scores, score = record.logits[0], float(record.score[0])
    index, sign = int(record.target[0]), int(record.sign[0])
    other = None if record.against is None else ranked(classifier, scores, int(record.against[0]))
    views: dict[str, View] = {}
    for number, (key, method) in enumerate(request.methods):
        title = _title(method, request)
        with events.part(title, number / len(request.methods), 1 / len(request.methods)):
            events.progress(0, 1)
            try:
                views[key] = View.of_map(method, _found_by(method, record), key, title)
            except SeewhyError as error:
                if events.raised_by_a_listener(error):
                    raise
                views[key] = View.of_error(method, error, key, title)
            events.progress(1, 1)
            events.result(views[key])
    target: Ranked = ranked(classifier, scores, index, sign)
    return Explained(target, score, views, other, record.forwards, record.backwards)


def _found_by(method: Method, record: Record) -> Attribution:
    """What a method found; a mistake in another person's method is that method's error."""
    if type(method) in METHODS:
        return run(method, record)
    try:
        return run(method, record)
    except SeewhyError:
        raise
    except Exception as error:
        if events.raised_by_a_listener(error):
            raise
        raise MethodError(f"the method {method.id} failed", got=f"{type(error).__name__}: {error}") from error


def _title(method: Method, request: Request) -> str:
    """The method's; where it is asked for more than once, with the parameters that differ."""
    same = [other.params for _, other in request.methods if other.id == method.id]
    differ = {
        name: value for name, value in method.params.items() if any(repr(each[name]) != repr(value) for each in same)
    }
    told = (
        f"{'' if name == 'layer' else f'{name} '}{'default' if value is None else value}"
        for name, value in differ.items()
    )
    return ", ".join([method.title, *told])

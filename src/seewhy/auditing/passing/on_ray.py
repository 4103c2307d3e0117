"""Shards made by the workers of a Ray cluster.

Each task writes its shard itself, whole or not at all, and what is there is not made again: resuming does not hang on
anything that Ray remembers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import torch

from ... import events
from ...errors import InputError, ModelError, SeewhyError
from ...models import Classifier
from .one_pass import Task

RETRIES = 3
"""How often a task is begun anew whose worker died."""
WAIT = 0.2
"""Seconds after which it is looked whether the job was cancelled."""


def on_ray(tasks: list[Task], classifier: Classifier, workers: int | None) -> Iterator[Task]:
    """Make the shards on the cluster that this process is connected to; else on one of ``workers`` processes, which is
    begun for it and ended after it. Gives each task when its shard is there.

    Each worker uses as many threads as this process, since sums in another order have other last bits.

    Raises:
        InputError: Ray is not installed.
        ModelError: the network cannot be sent to another process, or workers died again and again.
        SeewhyError: whatever a task raised.
    """
    if not tasks:
        return
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        ray.init(
            num_cpus=workers or os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
        )  # fmt: skip
    pending: dict[Any, Task] = {}
    try:
        model = _sent(ray, classifier)
        make = ray.remote(max_retries=RETRIES, num_cpus=1)(_made)
        pending = {make.remote(task, model, torch.get_num_threads()): task for task in tasks}
        while pending:
            done, _ = ray.wait(list(pending), timeout=WAIT)
            events.checkpoint()
            for each in done:
                task = pending.pop(each)
                _finished(ray, each)
                yield task
    finally:
        for each in pending:
            ray.cancel(each, force=True)
        if own:
            ray.shutdown()


def _made(task: Task, classifier: Classifier, threads: int) -> None:
    torch.set_num_threads(threads)
    task.make(classifier)


def _sent(ray: Any, classifier: Classifier) -> Any:
    try:
        return ray.put(classifier)
    except Exception as error:  # what a foreign module raises when it is pickled
        raise ModelError(
            "the network cannot be sent to another process", expected="engine='local'", got=error
        ) from error


def _finished(ray: Any, each: Any) -> None:
    try:
        ray.get(each)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, BaseException) else error
        if isinstance(cause, SeewhyError):
            raise cause from error
        raise ModelError("a worker failed", got=f"{type(cause).__name__}: {cause}") from error
    except ray.exceptions.RayError as error:
        raise ModelError(f"a worker died {RETRIES + 1} times", got=type(error).__name__) from error


def _ray() -> Any:
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
    except ImportError as error:
        raise InputError('the engine needs Ray: pip install "seewhy[ray]"') from error
    return ray

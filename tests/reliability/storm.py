"""Real signals at random moments of real work, and everything that must be as it was after each."""

import os
import random
import signal
import threading
import time

import torch
from torch.overrides import _get_current_function_mode_stack

from seewhy.checks import fingerprint


class Storm:
    """Interrupts once for each call of ``strike``, at a random moment of the work: by a SIGINT from another thread, or
    by a timer's SIGALRM, which comes at any microsecond, also while this thread holds Python's lock.
    """

    def __init__(self, seed, by="thread"):
        self.random, self.by = random.Random(seed), by
        self.inside = self.after = self.lost = 0

    def strike(self, work, within):
        """Whether ``work`` was interrupted by a signal that came at most ``within`` seconds after its start."""
        sender, done = self._sender(self.random.uniform(0, within)), False
        try:
            sender.start()
            result = work()
            done = True
            if getattr(result, "interrupted", False):  # an ascent keeps its image
                sender.join()
                self.inside += 1
                return True
            time.sleep(2)
            self.lost += 1
            return False
        except KeyboardInterrupt:
            sender.join()
        self.inside += not done
        self.after += done
        return not done

    def _sender(self, delay):
        if self.by == "timer":
            return Timer(delay)
        main = threading.main_thread().ident

        def send():
            time.sleep(delay)
            signal.pthread_kill(main, signal.SIGINT)

        return threading.Thread(target=send)


class Timer:
    """With the face of a thread."""

    def __init__(self, delay):
        self.delay = max(delay, 1e-6)

    def start(self):
        signal.setitimer(signal.ITIMER_REAL, self.delay)

    def join(self):
        pass


def surroundings(folder=None):
    """What a process and its torch are set to, comparable with ``==``."""
    descriptors = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "function modes": list(map(type, _get_current_function_mode_stack())),
        "autocast": torch.is_autocast_enabled("cpu"),
        "random": torch.get_rng_state().numpy().tobytes(),
        "handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)],
        "descriptors": len(descriptors),
        "files": sorted(os.listdir(folder)) if folder else [],
    }


def everything(model, folder=None):
    """``fingerprint`` of a model, and ``surroundings``."""
    held = {
        (name, key): value.tolist()
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    }
    return {**fingerprint(model), **surroundings(folder), "held": held}


def differences(before, after):
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def duration(work):
    """The median seconds of ``work``."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[2]

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
    """Sends one SIGINT for each call of ``strike``, at a random moment of the work, from another thread."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.inside = self.after = self.lost = 0

    def strike(self, work, within):
        """Whether ``work`` was interrupted by a signal that came at most ``within`` seconds after its start."""
        delay = self.random.uniform(0, within)
        main, started = threading.main_thread().ident, threading.Event()

        def send():
            started.wait()
            time.sleep(delay)
            signal.pthread_kill(main, signal.SIGINT)

        sender = threading.Thread(target=send)
        done = False
        try:
            sender.start()
            started.set()
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


def surroundings(folder=None):
    """What a process and its torch are set to, comparable with ``==``."""
    descriptors = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "function modes": list(map(type, _get_current_function_mode_stack())),
        "autocast": torch.is_autocast_enabled("cpu"),
        "random": torch.get_rng_state().numpy().tobytes(),
        "handler": signal.getsignal(signal.SIGINT),
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

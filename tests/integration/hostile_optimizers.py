"""Optimizers that do to the process what they must not; after a few harmless steps where that is worse."""

import os
import signal
import sys
import threading
import time
from typing import ClassVar

import torch


class Plain(torch.optim.SGD):
    """SGD with nothing wrong."""

    steps = 0

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    def step(self, closure=None):
        Plain.steps += 1
        if Plain.steps > 5:
            self.misbehave()
        return super().step(closure)

    def misbehave(self):
        """Nothing here."""


class Crashes(Plain):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class Leaves(Plain):
    def misbehave(self):
        os._exit(0)


class Exits(Plain):
    def misbehave(self):
        sys.exit(3)


class Hangs(Plain):
    def misbehave(self):
        while True:
            time.sleep(0.01)


class Swells(Plain):
    kept: ClassVar[list[torch.Tensor]] = []

    def misbehave(self):
        while True:
            Swells.kept.append(torch.ones(2**22))


class ClosesChannel(Plain):
    def misbehave(self):
        os.closerange(3, 64)


class Prints(Plain):
    def step(self, closure=None):
        print("::error::forged")
        os.write(1, b'{"tag": "done"}\n')
        return super().step(closure)


class SetsDtype(Plain):
    def step(self, closure=None):
        torch.set_default_dtype(torch.float16)
        return super().step(closure)


class Seeds(Plain):
    def step(self, closure=None):
        torch.manual_seed(0)
        return super().step(closure)


class TurnsGradOff(Plain):
    def step(self, closure=None):
        torch.set_grad_enabled(False)
        return super().step(closure)


class SetsThreads(Plain):
    def step(self, closure=None):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().step(closure)


class IsDeterministic(Plain):
    def step(self, closure=None):
        torch.use_deterministic_algorithms(True)
        return super().step(closure)


class KeepsThread(Plain):
    def step(self, closure=None):
        threading.Thread(target=lambda: time.sleep(30), name="left behind").start()
        return super().step(closure)

"""Optimizers that harm their process. Some do so only after a few harmless steps, where this is harder to
detect."""

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
    harmless = 40
    """So many steps come first, more than the search for the family takes."""
    last = float("inf")
    """The last step at which it misbehaves."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    def step(self, closure=None):
        Plain.steps += 1
        if self.harmless < Plain.steps <= self.last:
            self.misbehave()
        return super().step(closure)

    def misbehave(self):
        """Does nothing."""


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


def left_behind(seconds=300.0):
    """Become a process that only its number betrays; it is written where the test looks for it."""
    with open(os.environ["SURVIVORS"], "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    os._exit(0)


def until_left_behind(count=1):
    """Wait until so many have written their numbers; a child of this process is one of them."""
    deadline = time.monotonic() + 15.0
    while time.monotonic() < deadline:
        if os.path.exists(os.environ["SURVIVORS"]):
            with open(os.environ["SURVIVORS"]) as file:
                if len(file.readlines()) >= count:
                    return
        time.sleep(0.01)


class DoubleForks(Plain):
    last = 43

    def misbehave(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                left_behind()
            os._exit(0)
        until_left_behind()


class ForksManyTimes(Plain):
    def misbehave(self):
        for _ in range(20):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    left_behind()
                os._exit(0)
        until_left_behind(20)


class HidesItsEnvironment(Plain):
    last = 43

    def misbehave(self):
        path = os.environ["SURVIVORS"]
        code = f"import os, time; print(os.getpid(), file=open({path!r}, 'a'), flush=True); time.sleep(300)"
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(sys.executable, [sys.executable, "-c", code], {})
            os._exit(0)
        until_left_behind()


class KillsItsSupervisor(Plain):
    def misbehave(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                left_behind()
            os._exit(0)
        until_left_behind()
        os.kill(os.getppid(), signal.SIGKILL)
        left_behind()


class StopsItsSupervisor(Plain):
    last = 43

    def misbehave(self):
        os.kill(os.getppid(), signal.SIGSTOP)
        left_behind()


class LeavesItsPipesToAChild(Plain):
    def misbehave(self):
        if os.fork() == 0:
            left_behind()
        until_left_behind()
        os._exit(0)


class SwellsInChildren(Plain):
    def misbehave(self):
        for _ in range(4):
            if os.fork() == 0:
                kept = bytearray(os.urandom(1024)) * (500 * 1024)
                assert kept
                left_behind()
        time.sleep(300)


def channel():
    """The descriptor of the gate's channel: a pipe that is none of the standard ones."""
    for number in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
                return number
        except OSError:
            continue
    return 3


class SaysItIsDone(Plain):
    harmless = 5  # it speaks before any law is judged

    def misbehave(self):
        os.write(channel(), b'{"type":"done"}\n')
        os._exit(0)


class SaysThatALawHolds(Plain):
    harmless = 5  # it speaks before any law is judged

    def misbehave(self):
        os.write(channel(), b"0" * 64 + b' {"type":"judged","id":"descent","findings":[]}\n')
        os.write(channel(), b"0" * 64 + b' {"type":"done"}\n')
        os._exit(0)

"""A worker sends events to the gate, one line each with a code that only the worker can compute.

The key comes with the order, before any code of the target is imported. So a line that the target writes
into the descriptor is recognised, and so is a line that it repeats. Code that runs in the same process can
still read the key from its memory: this finds mistakes and lazy tricks, and does not stop an attacker.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import msgspec

from ilr_check.gate.process.request import EVENTS, Event


class ForgedError(ValueError):
    """A line on the channel that the worker did not write."""


class Speaker:
    """The worker writes to this end."""

    def __init__(self, descriptor: int, key: str) -> None:
        self._descriptor, self._key, self._number = descriptor, key, 0

    def tell(self, event: Event) -> None:
        """Write one event; raises ``OSError`` where the target has closed the descriptor."""
        text = msgspec.json.encode(event)
        line = memoryview(f"{_code(self._key, self._number, text)} ".encode() + text + b"\n")
        self._number += 1
        while line:
            line = line[os.write(self._descriptor, line) :]


class Listener:
    """The gate reads from this end."""

    def __init__(self, key: str) -> None:
        self._key, self._number, self._rest = key, 0, b""

    def hear(self, block: bytes) -> list[Event]:
        """Return the events that a block completes; raises ``ForgedError`` for a line of another author."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        events = []
        for line in lines:
            code, _, text = line.partition(b" ")
            if not hmac.compare_digest(code, _code(self._key, self._number, text).encode()):
                raise ForgedError(repr(line[:80]))
            self._number += 1
            events.append(EVENTS.decode(text))
        return events


def _code(key: str, number: int, text: bytes) -> str:
    return hmac.new(bytes.fromhex(key), b"%d:%b" % (number, text), hashlib.sha256).hexdigest()

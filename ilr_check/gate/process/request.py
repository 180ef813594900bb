"""A request to the gate as plain values: the same for the command, the worker process and a replay."""

from __future__ import annotations

from typing import Any

import msgspec

from ilr_check.evidence.gate import Finding, Location
from ilr_check.evidence.manifest import ClaimText
from ilr_check.gate.options import GateOptions
from ilr_check.gate.recorded import Behaviour


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement of one target."""

    target: str
    options: GateOptions = GateOptions()
    only_fingerprint: bool = False
    record: bool = False
    """Whether its behaviour is recorded, for a comparison; a baseline always needs that."""

    @property
    def records(self) -> bool:
        """Return whether the behaviour is recorded."""
        return self.record or self.options.baseline is not None


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun"):
    """The target was loaded, and its contract is found."""

    contract: str
    note: str
    laws: tuple[ClaimText, ...]
    known: tuple[str, ...]
    """Every known law, planned or not."""
    location: Location | None
    notices: tuple[str, ...] = ()


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """A law, or another piece of work, begins."""

    id: str


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """A law is judged."""

    id: str
    findings: tuple[Finding, ...]


class Fingerprinted(msgspec.Struct, frozen=True, kw_only=True, tag="fingerprinted"):
    """Measurements that need no contract: the fingerprint, and steps to compare with a later version."""

    fingerprint: dict[str, Any]
    traces: dict[str, list[list[float | None]]]


class Recorded(msgspec.Struct, frozen=True, kw_only=True, tag="recorded"):
    """What the target does in each of its settings."""

    behaviour: Behaviour


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The request cannot be met; one line for its author."""

    message: str
    trace: str = ""


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag="exited"):
    """The target called ``sys.exit`` where no law was judged."""

    code: str
    file: str
    line: int
    function: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """All requested work is done."""


Event = Begun | Started | Judged | Fingerprinted | Recorded | Refused | Exited | Done
EVENTS: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
"""Reads one line of what a worker says."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A worker gets the request, the finished laws, and what this process knows of the world."""

    request: GateRequest
    done: tuple[str, ...]
    path: tuple[str, ...]
    """The import path of the process that asks."""
    key: str
    """A secret, as hexadecimal digits: the worker signs its events with it (``channel``)."""
    patience: float
    """Seconds after which a law's Python frames are written down, shortly before it is stopped."""

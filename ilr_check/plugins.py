"""Registers the claims, laws, contracts and data sets of users and of other packages.

A decorator such as ``ilr_check.register_claim`` puts one object into its ``Registry``. An installed package
can name a module in the entry point group ``ilr_check.plugins``. These modules register something when they
are imported, and each catalogue imports them before it is first read.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

GROUP = "ilr_check.plugins"

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class PluginError(ValueError):
    """A registration that cannot be used, or an installed plugin that cannot be loaded."""


class Registry(Generic[Key, Value]):
    """The registered objects of one ``kind``, such as "claim", by name or type."""

    _registrations = 0
    """The number of registrations so far, of all kinds."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._found: dict[Key, Value] = {}

    def add(self, key: Key, value: Value, *, taken: bool = False) -> None:
        """Register a value. Raises ``PluginError`` if the key is ``taken`` or registered with another
        value."""
        if taken or self._found.get(key, value) != value:
            name = getattr(key, "__name__", key)
            raise PluginError(f"the {self.kind} {name!r} exists already; give yours another name")
        self._found[key] = value
        Registry._registrations += 1

    def registered(self) -> dict[Key, Value]:
        """Return everything that is registered, including the objects of installed plugins."""
        load_plugins()
        return dict(self._found)

    def remove(self, key: Key) -> None:
        """Undo a registration."""
        del self._found[key]

    @classmethod
    def count(cls) -> int:
        """Return the number of registrations so far, of all kinds."""
        return cls._registrations


_loaded: set[str] = set()


def load_plugins() -> None:
    """Import the modules of all installed plugins, each once.

    Raises ``PluginError`` for a plugin that cannot be imported or that registers nothing.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        if entry.value in _loaded:
            continue
        # This comes first, because a plugin may read a catalogue while it is imported.
        _loaded.add(entry.value)
        owner = "" if entry.dist is None else f" of {entry.dist.name}"
        title = f"the plugin {entry.name!r}{owner} ({entry.value})"
        fresh, before = entry.module not in sys.modules, Registry.count()
        try:
            entry.load()
        except Exception as error:
            _loaded.discard(entry.value)
            raise PluginError(
                f"{title} cannot be loaded: {type(error).__name__}: {error}; repair or uninstall it"
            ) from error
        if fresh and Registry.count() == before:
            _loaded.discard(entry.value)
            raise PluginError(
                f"{title} registers nothing; decorate what it adds with ilr_check.register_claim, "
                "register_law, register_contract or register_data_set"
            )

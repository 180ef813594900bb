"""What users and other packages add to the catalogues: claims, laws, contracts and data sets.

A decorator such as ``ilr_check.register_claim`` puts one thing into its ``Registry``. A package that is
installed beside this one names, in the entry point group ``ilr_check.plugins``, a module whose import
registers something; each catalogue loads those modules before it is first read.
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
    """What was registered from outside of one ``kind``, such as "claim", by its name or type."""

    _registrations = 0
    """How many registrations there were, of all kinds."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._found: dict[Key, Value] = {}

    def add(self, key: Key, value: Value, *, taken: bool = False) -> None:
        """Register; raises ``PluginError`` for a key that is ``taken`` or registered for something else."""
        if taken or self._found.get(key, value) != value:
            name = getattr(key, "__name__", key)
            raise PluginError(f"the {self.kind} {name!r} exists already; give yours another name")
        self._found[key] = value
        Registry._registrations += 1

    def registered(self) -> dict[Key, Value]:
        """Return everything registered, the installed plugins included."""
        load_plugins()
        return dict(self._found)

    def remove(self, key: Key) -> None:
        """Take a registration back."""
        del self._found[key]

    @classmethod
    def count(cls) -> int:
        """Return how many registrations there were so far, of all kinds."""
        return cls._registrations


_loaded: set[str] = set()


def load_plugins() -> None:
    """Import the modules of all installed plugins, each once.

    Raises ``PluginError`` for one that cannot be imported, and for one that registers nothing.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        if entry.value in _loaded:
            continue
        # Noted first: a plugin may read a catalogue while it is imported.
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
